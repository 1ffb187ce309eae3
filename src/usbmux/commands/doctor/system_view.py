"""The computer as the doctor sees it: files below a root that a test, or a mounted disk, can replace."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from usbmux.values import frozen

_LONGEST_FILE = 1 << 20


@frozen
class Account:
    """With whose rights a process runs."""

    uid: int
    gids: frozenset[int]


@frozen
class Rights:
    """Who may do what with a file."""

    uid: int
    gid: int
    mode: int
    """The nine bits."""

    def allow_reading_and_writing(self, account: Account) -> bool:
        """Whether the bits let the account do both; lists of rights beyond them (ACLs) are not known here."""
        if account.uid == 0:
            return True
        shift = 6 if account.uid == self.uid else 3 if self.gid in account.gids else 0
        return self.mode >> shift & 6 == 6


class SystemView:
    """Reads a system's files. What is not there, or may not be read, is None or empty.

    Args:
        root: Where its root directory is.
        environ: Variables of the environment.
        platform: As `sys.platform` names it.
        account: Whose eyes these are.
    """

    def __init__(self, root: Path, environ: Mapping[str, str], platform: str, account: Account) -> None:
        self.root = root
        self.environ = environ
        self.platform = platform
        self.account = account

    @classmethod
    def here(cls, root: Path) -> Self:
        """This process's system, with files below that root."""
        if sys.platform == "win32":
            account = Account(0, frozenset())
        else:
            account = Account(os.geteuid(), frozenset({os.getegid(), *os.getgroups()}))
        return cls(root, os.environ, sys.platform, account)

    def is_there(self, path: str) -> bool:
        """Whether there is such a file or directory."""
        return os.path.exists(self._real(path))

    def text(self, path: str) -> str | None:
        """The content of a file, without blanks at its end."""
        try:
            with open(self._real(path), "rb") as file:
                return file.read(_LONGEST_FILE).decode("utf-8", "replace").rstrip()
        except OSError:
            return None

    def names(self, path: str) -> list[str]:
        """What is in a directory, in order."""
        try:
            return sorted(os.listdir(self._real(path)))
        except OSError:
            return []

    def link(self, path: str) -> str | None:
        """Where a symbolic link points."""
        try:
            return os.readlink(self._real(path))
        except OSError:
            return None

    def rights(self, path: str) -> Rights | None:
        """Of a file."""
        try:
            status = os.stat(self._real(path))
        except OSError:
            return None
        return Rights(status.st_uid, status.st_gid, status.st_mode & 0o777)

    def may_open(self, path: str, account: Account) -> bool:
        """Whether the account may read and write a file that is there."""
        if account.uid == self.account.uid:
            return os.access(self._real(path), os.R_OK | os.W_OK)  # which knows lists of rights too
        rights = self.rights(path)
        return rights is not None and rights.allow_reading_and_writing(account)

    def _real(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))
