"""What the kernel knows of a socket and the socket module does not tell."""

import socket
import struct
import sys

if sys.platform == "linux":
    import fcntl
    import termios

_TCP_CLOSE = 7
"""tcpi_state of a connection that was reset or is over: nothing leaves any more."""


def undelivered(sock: socket.socket) -> int:
    """Bytes sent on `sock` that the peer's system may still take; 0 where nobody can tell."""
    if sys.platform != "linux":
        return 0
    try:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            (state,) = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
            if state == _TCP_CLOSE:
                return 0
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    except OSError:
        return 0
    (count,) = struct.unpack("i", answer)
    return int(count)
