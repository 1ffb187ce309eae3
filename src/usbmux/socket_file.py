"""Unix sockets that listen, and their files."""

import errno
import os
import socket
import stat
from contextlib import suppress

from usbmux.errors import AddressError
from usbmux.values import frozen


@frozen
class SocketFile:
    """The file of a socket that we have bound."""

    path: str
    device: int
    inode: int

    def remove(self) -> None:
        """Unless somebody has put another there. Idempotent.

        Raises:
            OSError: It may not be removed.
        """
        with suppress(FileNotFoundError):
            status = os.stat(self.path)
            if (status.st_dev, status.st_ino) == (self.device, self.inode):
                os.unlink(self.path)


def bind_unix(path: str, mode: int, group: int | None = None) -> tuple[socket.socket, SocketFile]:
    """A socket that is bound to a path, and does not listen yet.

    Args:
        path: The file of somebody who does not answer any more is replaced.
        mode: Of the file: who may connect.
        group: Of the file; None: our own.

    Raises:
        AddressError: This platform has no Unix sockets.
        OSError: Somebody answers there, it is something else, or the system refuses.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise AddressError(f"{path}: this platform has no Unix sockets; use host:port")
    _remove_stale(path)
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
    except OSError as error:
        sock.close()
        os.unlink(path)
        raise OSError(error.errno, f"cannot listen at {path}: {error.strerror}") from error
    status = os.stat(path)
    return sock, SocketFile(os.path.abspath(path), status.st_dev, status.st_ino)


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
