"""Noticing what the sockets of streams are ready for.

A stream's socket is watched from its beginning to its end, and idle ones cost nothing: with epoll, one edge-triggered
set for all of them hangs on the event loop, and tells of what has changed. Elsewhere the loop itself watches, for one
event at a time.
"""

import asyncio
import select
import socket
from collections import deque
from typing import Final, Protocol

if hasattr(select, "epoll"):
    _INPUT: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
    _INPUT_ENDS: Final = select.EPOLLRDHUP
    _OUTPUT: Final = select.EPOLLOUT
    _HUNG_UP: Final = select.EPOLLHUP | select.EPOLLERR


class SocketOwner(Protocol):
    """Whom a watch tells. What it raises goes to the loop's exception handler."""

    def input_came(self, *, ends: bool) -> None:
        """There may be input. The next call comes after `SocketWatch.want_input`.

        Args:
            ends: Whether its end came as well, or something worse, which is not told again.
        """

    def room_came(self) -> None:
        """There may be room for output. Only while wanted."""

    def hung_up(self) -> None:
        """The peer has closed both directions, or reset. `recv` cannot tell this from `shutdown(SHUT_WR)`.

        At most once; where there is no epoll never, and the linger time does the work (T14).
        """


class SocketWatch(Protocol):
    """Watches any number of sockets."""

    def add(self, sock: socket.socket, owner: SocketOwner) -> None:
        """Watch until it is removed; input is wanted. Whoever was told of the socket before is not any more.

        All that is so already is told, for the first time or again.
        """

    def want_input(self, sock: socket.socket) -> None:
        """Tell of input again, now that `recv` would have blocked."""

    def want_room(self, sock: socket.socket, wanted: bool) -> None:
        """Whether to tell of room for output."""

    def remove(self, sock: socket.socket) -> None:
        """Stop watching, before the socket is closed. Idempotent."""

    def close(self) -> None:
        """Watch nothing any more."""


def make_socket_watch(loop: asyncio.AbstractEventLoop) -> SocketWatch:
    """The watch that this platform allows."""
    return EdgeWatch(loop) if hasattr(select, "epoll") else LoopWatch(loop)


class EdgeWatch:
    """A `SocketWatch` by epoll."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop
        self._epoll: Final = select.epoll()
        self._owners: Final[dict[int, SocketOwner]] = {}
        self._events: Final[deque[tuple[int, int]]] = deque()
        self._removed: Final[set[int]] = set()
        """While events wait: descriptors whose numbers may have been given away again."""
        self._is_closed = False
        loop.add_reader(self._epoll.fileno(), self._on_ready)

    def add(self, sock: socket.socket, owner: SocketOwner) -> None:
        """Watch until it is removed; input is wanted."""
        descriptor = sock.fileno()
        if descriptor in self._owners:
            self._epoll.modify(descriptor, _INPUT)
        else:
            self._epoll.register(descriptor, _INPUT)  # EPOLLHUP and EPOLLERR come unasked
        self._owners[descriptor] = owner

    def want_input(self, sock: socket.socket) -> None:
        """Nothing to do: more input is another edge."""

    def want_room(self, sock: socket.socket, wanted: bool) -> None:
        """Whether to tell of room for output. Otherwise every socket whose peer has read all would be an event."""
        self._epoll.modify(sock.fileno(), _INPUT | (select.EPOLLOUT if wanted else 0))

    def remove(self, sock: socket.socket) -> None:
        """Stop watching, before the socket is closed. Idempotent."""
        descriptor = sock.fileno()
        if not self._is_closed and self._owners.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)
            if self._events:
                self._removed.add(descriptor)

    def close(self) -> None:
        """Watch nothing any more."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._owners.clear()
            self._events.clear()

    def _on_ready(self) -> None:
        if not self._events:
            self._events.extend(self._epoll.poll(0))
            self._tell()

    def _tell(self) -> None:
        try:
            while self._events:
                descriptor, events = self._events.popleft()
                if (owner := self._owners.get(descriptor)) is not None and descriptor not in self._removed:
                    self._tell_owner(owner, descriptor, events)
        finally:
            if self._events:  # an owner has raised, and no edge comes twice
                self._loop.call_soon(self._tell)
            else:
                self._removed.clear()

    def _tell_owner(self, owner: SocketOwner, descriptor: int, events: int) -> None:
        """One thing at a time: after each it may be removed."""
        if events & _HUNG_UP:
            self._events.appendleft((descriptor, (events & ~_HUNG_UP) | _INPUT_ENDS))
            owner.hung_up()
        elif events & _OUTPUT:
            if rest := events & (_INPUT | _INPUT_ENDS):
                self._events.appendleft((descriptor, rest))
            owner.room_came()
        else:
            owner.input_came(ends=bool(events & _INPUT_ENDS))


class LoopWatch:
    """A `SocketWatch` by the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop
        self._owners: Final[dict[socket.socket, SocketOwner]] = {}

    def add(self, sock: socket.socket, owner: SocketOwner) -> None:
        """Watch until it is removed; input is wanted."""
        self.remove(sock)
        self._owners[sock] = owner
        self.want_input(sock)

    def want_input(self, sock: socket.socket) -> None:
        """Tell of input once."""
        self._loop.add_reader(sock, self._on_readable, sock)

    def want_room(self, sock: socket.socket, wanted: bool) -> None:
        """Whether to tell of room for output."""
        if wanted:
            self._loop.add_writer(sock, self._owners[sock].room_came)
        else:
            self._loop.remove_writer(sock)

    def remove(self, sock: socket.socket) -> None:
        """Stop watching, before the socket is closed. Idempotent."""
        if self._owners.pop(sock, None) is not None:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)

    def close(self) -> None:
        """Watch nothing any more."""
        for sock in list(self._owners):
            self.remove(sock)

    def _on_readable(self, sock: socket.socket) -> None:
        self._loop.remove_reader(sock)
        self._owners[sock].input_came(ends=True)  # for all that is known: it is told again anyway
