"""Noticing that a client is gone for good while nothing is read from it."""

import asyncio
import select
import socket
from collections.abc import Callable
from typing import Final


class HangupWatch:
    """Calls back once when the peer of a socket has closed both directions or reset.

    `recv` that returns nothing cannot tell `shutdown(SHUT_WR)` from `close()`; the kernel can. One edge-triggered
    epoll set for all sockets hangs on the event loop, so a watched socket costs nothing until it hangs up. Where
    there is no epoll nothing is called back, and the linger time does the work (T14).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._callbacks: Final[dict[int, Callable[[], None]]] = {}
        self._loop: Final = loop
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll is not None:
            loop.add_reader(self._epoll.fileno(), self._on_events)

    def add(self, sock: socket.socket, callback: Callable[[], None]) -> None:
        """Watch until it has been called back or removed."""
        if self._epoll is not None:
            self._callbacks[sock.fileno()] = callback
            self._epoll.register(sock.fileno(), select.EPOLLET)  # EPOLLHUP and EPOLLERR come unasked

    def remove(self, sock: socket.socket) -> None:
        """Stop watching, before the socket is closed. Idempotent."""
        if self._epoll is not None and self._callbacks.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())

    def close(self) -> None:
        """Watch nothing any more."""
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None
            self._callbacks.clear()

    def _on_events(self) -> None:
        assert self._epoll is not None
        for descriptor, _events in self._epoll.poll(0):
            callback = self._callbacks.pop(descriptor, None)
            if callback is not None:
                self._epoll.unregister(descriptor)
                callback()
