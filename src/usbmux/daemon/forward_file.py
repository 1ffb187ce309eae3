"""The file in which the daemon keeps forwards over its restarts."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from usbmux.admin.fields import read_object, take_objects
from usbmux.admin.forward import KeptForward
from usbmux.admin.forward_codec import read_kept_forward
from usbmux.daemon.state_directory import StateDirectory
from usbmux.errors import RemoteProtocolError

logger = logging.getLogger("usbmux.daemon.forward")

FORWARDS_FILE: Final = "forwards.json"
"""Beside the pair records, in the one directory that is the daemon's own."""


class ForwardFile:
    """Blocking, for threads beside the event loop. Errors are OSError.

    Args:
        directory: Of the daemon's state.
    """

    def __init__(self, directory: Path) -> None:
        self._files: Final = StateDirectory(directory)
        self._path: Final = directory / FORWARDS_FILE

    def read(self) -> tuple[KeptForward, ...]:
        """What was written last; nothing, and a line in the log, if that cannot be read."""
        try:
            return tuple(map(read_kept_forward, take_objects(read_object(self._files.read(FORWARDS_FILE)), "forwards")))
        except FileNotFoundError:
            return ()
        except (OSError, RemoteProtocolError) as error:
            logger.error("%s: no forwards are kept: %s", self._path, error)
            return ()

    def write(self, forwards: Sequence[KeptForward]) -> None:
        """Replace it, whole or not at all; only the daemon's user can read it. An error names it."""
        document = {"forwards": [asdict(forward) for forward in forwards]}
        try:
            self._files.replace(FORWARDS_FILE, json.dumps(document, indent=2).encode() + b"\n")
        except OSError as error:  # the system's names what it met, relative to the directory or a parent of it
            raise OSError(error.errno, f"cannot write {self._path}: {error.strerror}") from error
