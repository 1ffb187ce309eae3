"""Unix sockets that listen, and their files."""

import errno
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from usbmux.errors import AddressError
from usbmux.values import frozen

if sys.platform != "win32":
    import fcntl

LOCK_WITHIN_S: Final = 0.5
"""How long others that start are waited for; what they do takes a millisecond."""
_LOCK_AGAIN_S: Final = 0.005


@frozen
class SocketFile:
    """The file of a socket that we have bound."""

    path: str
    device: int
    inode: int

    def remove(self) -> None:
        """Unless somebody has put another there. Idempotent.

        Before the socket is closed: nobody takes the place of one that answers, nor gets a file of its number.

        Raises:
            OSError: It may not be removed.
        """
        with suppress(FileNotFoundError):
            status = os.stat(self.path)
            if (status.st_dev, status.st_ino) == (self.device, self.inode):
                os.unlink(self.path)


def listen_unix(path: str, mode: int, backlog: int, group: int | None = None) -> tuple[socket.socket, SocketFile]:
    """A socket that listens at a path.

    Args:
        path: The file of somebody who does not answer any more is replaced.
        mode: Of the file: who may connect.
        backlog: How many may wait to be accepted.
        group: Of the file; None: our own.

    Raises:
        AddressError: This platform has no Unix sockets.
        OSError: Somebody answers there, it is something else, or the system refuses.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise AddressError(f"{path}: this platform has no Unix sockets; use host:port")
    with _alone_in(os.path.dirname(path) or os.curdir):
        _remove_stale(path)
        return _listen(path, mode, backlog, group)


def _listen(path: str, mode: int, backlog: int, group: int | None) -> tuple[socket.socket, SocketFile]:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
    except OSError as error:
        sock.close()
        # A path that is too long has neither number nor text.
        raise OSError(
            error.errno or errno.ENAMETOOLONG, f"cannot listen at {path}: {error.strerror or error}"
        ) from error
    try:
        if group is not None:
            os.chown(path, -1, group)
        os.chmod(path, mode)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        os.unlink(path)
        raise OSError(error.errno, f"cannot listen at {path}: {error.strerror}") from error
    status = os.stat(path)
    return sock, SocketFile(os.path.abspath(path), status.st_dev, status.st_ino)


@contextmanager
def _alone_in(directory: str) -> Iterator[None]:
    """Keep others that start at the same time waiting: a socket that is bound and does not listen yet looks stale.

    The directory itself is locked, which leaves no file. Anybody who may read it can do that: who holds it long is
    not waited for, and a directory that cannot be locked is done without.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:  # we may not read it, or it is not there, which binding says better
        yield
        return
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        return
    deadline = time.monotonic() + LOCK_WITHIN_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return
            time.sleep(_LOCK_AGAIN_S)
        except OSError:  # a file system without locks
            return


def _remove_stale(path: str) -> None:
    """Remove the socket of a program that is no more; refuse to take the place of one that answers."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(errno.EEXIST, f"cannot listen at {path}: it is there and not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # its queue is full: it lives
        except OSError as error:
            raise OSError(error.errno, f"cannot listen at {path}: {error.strerror or error}") from error
    raise OSError(errno.EADDRINUSE, f"cannot listen at {path}: another program answers there")
