"""Giving up what the daemon needs only to begin."""

import ctypes
import os
import pwd
from typing import Final

from usbmux.errors import ConfigurationError

_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_LAST_CAPABILITY: Final = 63
_UMASK: Final = 0o077


def restrict() -> None:
    """Nothing that the daemon starts gets more rights than it has; its files are for its user alone."""
    os.umask(_UMASK)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def find_user(user: str) -> pwd.struct_passwd:
    """The user of that name or number.

    Raises:
        ConfigurationError: There is none.
    """
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError) as error:
        raise ConfigurationError(f"there is no user {user!r}") from error


def become(user: str) -> None:
    """Become that user for good, with the user's groups and without any capability.

    Raises:
        ConfigurationError: There is no such user.
        OSError: We may not.
    """
    entry = find_user(user)
    if os.getuid() == entry.pw_uid != 0:
        return
    if os.getuid() != 0:
        raise PermissionError(1, f"only root can become {user}")
    # The bounding set first: what has left it cannot come back by any program. The last user id takes the rest.
    for capability in range(_LAST_CAPABILITY + 1):
        _prctl(_PR_CAPBSET_DROP, capability)
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)  # of root this sets the saved id as well, on every system
    os.setuid(entry.pw_uid)


def _prctl(option: int, value: int) -> None:
    """Best effort: other platforms and old kernels do not have all of it."""
    try:
        library = ctypes.CDLL(None)
        library.prctl(ctypes.c_int(option), *(ctypes.c_ulong(argument) for argument in (value, 0, 0, 0)))
    except (OSError, AttributeError):
        return
