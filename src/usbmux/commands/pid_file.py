"""A file that tells which process is the daemon, locked by it as long as it lives."""

import errno
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_PATIENCE_S: Final = 0.2
"""Who only asks whether there is a daemon, as `locking_pid` does, holds the lock for a moment."""
_AGAIN_S: Final = 0.005


class PidFile:
    """Locked from `__enter__` to `__exit__`, which also removes it. Holds the id of the process that entered.

    Raises:
        OSError: On entering. EAGAIN with the other's id in its text: another process has locked it.
    """

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        while True:
            self._descriptor = os.open(self._path, flags, 0o644)
            try:
                self._lock()
                if self._is_in_place():
                    break
            except BaseException:
                os.close(self._descriptor)
                raise
            os.close(self._descriptor)  # the daemon before us removed it between our open and our lock
        try:
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, f"{os.getpid()}\n".encode())
        except OSError as error:
            self.__exit__(None, None, None)
            raise OSError(error.errno, f"cannot write {self._path}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._is_in_place():
                os.unlink(self._path)
        except OSError:
            os.ftruncate(self._descriptor, 0)  # the directory is not ours any more; an empty file names nobody
        finally:
            os.close(self._descriptor)

    def _lock(self) -> None:
        if sys.platform == "win32":
            return
        import fcntl

        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    break
                time.sleep(_AGAIN_S)  # flock() waits without end or not at all
        holder = _read_pid(self._path)
        named = f" (pid {holder})" if holder else ""
        raise OSError(errno.EAGAIN, f"{self._path} is locked: another usbmuxd is running{named}")

    def _is_in_place(self) -> bool:
        try:
            status, ours = os.stat(self._path), os.fstat(self._descriptor)
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == (ours.st_dev, ours.st_ino)


def locking_pid(path: Path) -> int | None:
    """The process that the file names and that has locked it; None if there is none: a file may be left behind."""
    if sys.platform == "win32":  # which has no such locks
        return None
    import fcntl

    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return _read_pid(path)
    return None


def _read_pid(path: Path) -> int | None:
    text = path.read_bytes()[:32].strip()
    return int(text) if text.isdigit() and int(text) > 1 else None
