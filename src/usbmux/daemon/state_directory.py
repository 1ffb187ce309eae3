"""A directory of small files that belong to the daemon alone and are replaced whole."""

import errno
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

logger = logging.getLogger("usbmux.daemon.records")

MAX_LENGTH: Final = 65536
"""Of a file, in bytes. No request brings more, and as a reply it stays below what all clients read (C6)."""
_BY_DESCRIPTOR: Final = os.open in os.supports_dir_fd
"""Whether files can be named relative to an open directory. Windows cannot, and has no modes to check either."""
_LEFTOVER: Final = re.compile(r"\..+\.[0-9a-f]{16}\.new")
_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))
"""Of every open, as far as the platform has them."""
# A pipe must not block us, nor a terminal become ours.
_READ: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | _FLAGS
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS


def backup_name(name: str) -> str:
    """The file that keeps what was in `name` before it was replaced."""
    return f".{name}.bak"


class StateDirectory:
    """Blocking, for threads beside the event loop; two writers at a time are one too many. Errors are OSError.

    Names are plain file names, looked up in the directory as it was opened for the operation. Only regular files
    with a single name count; anything else in their place is refused with EPERM, symbolic links with ELOOP, and
    files above `MAX_LENGTH` with EFBIG. The directory may itself be reached through a link.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path

    def make_for(self, user: int, group: int) -> None:
        """Make it if there is none, for the user that we are about to become.

        Parents that are missing stay ours, and others may pass through them. What the system refuses is only warned
        about.
        """
        try:
            if self.path.exists():
                return
            for parent in reversed(self.path.parents):
                if not parent.exists():
                    _make_directory(parent, 0o755)
            _make_directory(self.path, 0o700, user, group)
        except OSError as error:
            logger.warning("pair records cannot be kept: %s", error)

    def prepare(self, is_known: Callable[[str], bool]) -> None:
        """Remove what interrupted writers have left, and lock other users out.

        The mode is corrected if the directory is ours and holds nothing but hidden and known names: a directory
        that serves something else too is only warned about. No directory, or one that may not be read, is no error.

        Raises:
            OSError: EPERM for a directory that everybody may write to, ENOTDIR for something else in its place.
        """
        try:
            with self._opened() as directory:
                names = os.listdir(self.path if directory is None else directory)
                if directory is not None:
                    self._lock_out(directory, all(name.startswith(".") or is_known(name) for name in names))
                for name in filter(_LEFTOVER.fullmatch, names):
                    self._clear(directory, name)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EACCES:
                raise
            logger.warning("pair records cannot be used: %s", error)

    def read(self, name: str) -> bytes:
        """The file's content.

        Raises:
            OSError: ENOENT for no file or no directory.
        """
        with self._opened() as directory:
            return self._read(directory, name)

    def replace(self, name: str, data: bytes) -> None:
        """Write a file with mode 0600 that is there whole or not at all, whatever happens, and is on the disk.

        What it replaces is kept as `backup_name`. The directory is made if there is none.
        """
        if len(data) > MAX_LENGTH:
            raise OSError(errno.EFBIG, f"{len(data)} bytes for {name}, the most is {MAX_LENGTH}")
        self._make()
        with self._opened() as directory:
            with suppress(FileNotFoundError):
                old = self._read(directory, name)
                if old != data:  # a save that is repeated must not cost the record before
                    self._write(directory, backup_name(name), old)
            self._write(directory, name, data)
            _sync(directory)

    def remove(self, name: str) -> None:
        """Remove a file and its backup.

        Raises:
            OSError: ENOENT for no file or no directory.
        """
        with self._opened() as directory:
            os.close(self._open(directory, name))
            with suppress(FileNotFoundError):  # the backup first: without the file nobody would ask for it again
                os.unlink(self._at(directory, backup_name(name)), dir_fd=directory)
            os.unlink(self._at(directory, name), dir_fd=directory)
            _sync(directory)

    @contextmanager
    def _opened(self) -> Iterator[int | None]:
        """A descriptor of the directory; None where files cannot be named relative to one."""
        if not _BY_DESCRIPTOR:
            yield None
            return
        directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if os.fstat(directory).st_mode & stat.S_IWOTH:
                raise OSError(errno.EPERM, f"refuses to run with a world-writable state directory: {self.path}")
            yield directory
        finally:
            os.close(directory)

    def _at(self, directory: int | None, name: str) -> str:
        return str(self.path / name) if directory is None else name

    def _open(self, directory: int | None, name: str) -> int:
        """A descriptor to read a file that is nothing but a file."""
        descriptor = os.open(self._at(directory, name), _READ, dir_fd=directory)
        facts = os.fstat(descriptor)
        if stat.S_ISREG(facts.st_mode) and facts.st_nlink <= 1:  # 0 if it has just been replaced
            return descriptor
        os.close(descriptor)
        raise OSError(errno.EPERM, f"{self.path / name} is not a regular file with a single name")

    def _read(self, directory: int | None, name: str) -> bytes:
        with open(self._open(directory, name), "rb") as file:
            data = file.read(MAX_LENGTH + 1)
        if len(data) > MAX_LENGTH:
            raise OSError(errno.EFBIG, f"{self.path / name} has more than {MAX_LENGTH} bytes")
        return data

    def _write(self, directory: int | None, name: str, data: bytes) -> None:
        """Write beside and rename, so that a reader sees the old file or the new one, whole."""
        temporary = self._at(directory, f".{name}.{os.urandom(8).hex()}.new")
        descriptor = os.open(temporary, _CREATE, 0o600, dir_fd=directory)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, self._at(directory, name), src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with suppress(OSError):  # what went wrong first is what matters
                os.unlink(temporary, dir_fd=directory)
            raise

    def _make(self) -> None:
        if self.path.exists():
            return
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _BY_DESCRIPTOR:
            with suppress(PermissionError):  # a parent that may be written to but not read
                _sync_directory(self.path.parent)

    def _lock_out(self, directory: int, is_ours_alone: bool) -> None:
        facts = os.fstat(directory)
        mode = stat.S_IMODE(facts.st_mode)
        if not mode & 0o077:
            return
        if facts.st_uid == os.geteuid() and is_ours_alone:
            os.fchmod(directory, 0o700)
            logger.info("%s had mode %o and has 700 now", self.path, mode)
        else:
            logger.warning("%s has mode %o: others may read what is in it", self.path, mode)

    def _clear(self, directory: int | None, name: str) -> None:
        try:
            os.unlink(self._at(directory, name), dir_fd=directory)
        except OSError as error:  # of a directory that is only read
            logger.warning("what an interrupted save has left stays: %s", error)


def _make_directory(path: Path, mode: int, user: int = -1, group: int = -1) -> None:
    """Make one of that mode, whatever the umask, and give it away. Its name is on the disk then."""
    path.mkdir(mode=0o700)
    # By descriptor: who may write to the parent could put a link in its place meanwhile.
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _FLAGS)
    try:
        os.fchmod(directory, mode)
        os.fchown(directory, user, group)
    finally:
        os.close(directory)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync(directory)
    finally:
        os.close(directory)


def _sync(directory: int | None) -> None:
    """Let names that have changed reach the disk."""
    if directory is not None:
        os.fsync(directory)
