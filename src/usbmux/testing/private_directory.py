"""A place for the socket of a daemon that lives as long as a test or a command."""

import os
import socket
import tempfile
from typing import Final

_LONGEST_PATH: Final = 103
"""Of a Unix socket, in bytes; macOS takes the fewest."""
_LONGEST_NAME: Final = len("/01234567/usbmuxd.admin")
"""What makes the directory's name its own, and what a daemon puts into it."""
_SHORT: Final = "/tmp"


def private_directory(prefix: str) -> "tempfile.TemporaryDirectory[str]":
    """A directory for this user alone, that goes with its context.

    It is where temporary files go, or where that is too deep for the path of a socket, in /tmp.

    Args:
        prefix: Begins its name.
    """
    usual = tempfile.gettempdir()
    length = len(os.fsencode(usual)) + len(prefix) + _LONGEST_NAME
    is_too_deep = hasattr(socket, "AF_UNIX") and length > _LONGEST_PATH and os.access(_SHORT, os.W_OK | os.X_OK)
    return tempfile.TemporaryDirectory(prefix=prefix, dir=_SHORT if is_too_deep else usual)
