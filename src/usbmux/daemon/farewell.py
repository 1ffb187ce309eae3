"""Closing a client's socket so that it still reads everything that was sent to it."""

import asyncio
import socket
from typing import Final

FAREWELL_S: Final = 2.0
"""How long a TCP peer may take to close its side."""
_DISCARD: Final = 65536


def say_farewell(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """End our writing, drop what the peer still sends, and close as soon as that cannot hurt.

    The kernel answers data that nobody will read with a reset, which may destroy what the peer has not read yet
    (TCP) or turn a clean end into an error (Unix). The socket must not be registered with the loop; it is taken over.
    """
    _Farewell(loop, sock).start()


class _Farewell:
    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._sock = sock
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        local = self._sock.family != socket.AF_INET and self._sock.family != socket.AF_INET6
        try:
            # On a Unix socket nothing can arrive after SHUT_RD, so what is there now is all there will be.
            self._sock.shutdown(socket.SHUT_RDWR if local else socket.SHUT_WR)
        except OSError:
            self._sock.close()
            return
        if self._discard() or local:
            self._sock.close()
            return
        self._timer = self._loop.call_later(FAREWELL_S, self._close)
        self._loop.add_reader(self._sock, self._on_readable)

    def _on_readable(self) -> None:
        if self._discard():
            self._close()

    def _discard(self) -> bool:
        """Read what is there; whether the peer has ended."""
        try:
            while self._sock.recv(_DISCARD):
                pass
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()
