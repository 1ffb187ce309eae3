"""Closing clients' sockets so that they still read everything that was sent to them."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from usbmux.sockets import undelivered

FAREWELL_S: Final = 2.0
"""How long a TCP peer that has taken everything may take to close its side."""
_DISCARD: Final = 262144


class Farewells:
    """The sockets that nobody needs any more, until they can be closed without harm.

    The kernel answers data that nobody will read with a reset, which destroys what has not left yet (TCP) or turns a
    clean end into an error (Unix). So our writing is ended, and what the peer still sends is dropped.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop
        self._timers: Final[dict[socket.socket, asyncio.TimerHandle]] = {}
        self._actions: Final[dict[socket.socket, Callable[[], object]]] = {}

    def say(self, sock: socket.socket) -> None:
        """Take over a socket, which must not be registered with the loop, and close it in time."""
        is_tcp = sock.family in (socket.AF_INET, socket.AF_INET6)
        try:
            # On a Unix socket nothing can arrive after SHUT_RD, so what is there now is all there will be.
            sock.shutdown(socket.SHUT_WR if is_tcp else socket.SHUT_RDWR)
        except OSError:
            sock.close()
            return
        if is_tcp:
            self._timers[sock] = self._loop.call_later(FAREWELL_S, self._check, sock)
            self._loop.add_reader(sock, self._on_readable, sock)
        else:
            with suppress(OSError):
                while sock.recv(_DISCARD):
                    pass
            sock.close()

    def when_closed(self, sock: socket.socket, action: Callable[[], object]) -> None:
        """Have something called once a socket is closed: now, unless its farewell is under way.

        A peer may leave what was sent to it unread for as long as it likes, and its socket stays until then.
        """
        if sock in self._timers:
            self._actions[sock] = action
        else:
            action()

    def close(self) -> None:
        """Close them all now."""
        for sock in list(self._timers):
            self._close(sock)

    def _on_readable(self, sock: socket.socket) -> None:
        # Once a turn, because a peer may send faster than we can drop.
        if not _discard(sock):
            self._loop.remove_reader(sock)
            if not undelivered(sock):
                self._close(sock)

    def _check(self, sock: socket.socket) -> None:
        if undelivered(sock):
            # The kernel would go on sending after a close, but answers a peer that is still talking with a reset.
            self._timers[sock] = self._loop.call_later(FAREWELL_S, self._check, sock)
        else:
            self._close(sock)

    def _close(self, sock: socket.socket) -> None:
        self._timers.pop(sock).cancel()
        self._loop.remove_reader(sock)
        sock.close()
        if (action := self._actions.pop(sock, None)) is not None:
            action()


def _discard(sock: socket.socket) -> bool:
    """Read some of what is there; whether more may come."""
    try:
        return bool(sock.recv(_DISCARD))
    except BlockingIOError:
        return True
    except OSError:
        return False
