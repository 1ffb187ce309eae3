"""Noticing what the sockets of streams are ready for.

A stream's socket is watched from its beginning to its end, and idle ones cost nothing: epoll tells of what has changed.
Elsewhere the loop itself watches, for one event at a time, and who has hung up is asked now and then.
"""

import asyncio
import select
import socket
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from usbmux.direct_loop import direct_selector, let_go

if hasattr(select, "epoll"):
    _INPUT: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
    _INPUT_ENDS: Final = select.EPOLLRDHUP
    _OUTPUT: Final = select.EPOLLOUT
    _HUNG_UP: Final = select.EPOLLHUP | select.EPOLLERR
PROBE_S: Final = 0.1
"""Without epoll: how long it takes at most to notice that somebody has hung up."""


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

        At most once; where there is neither epoll nor poll never, and the linger time does the work (T14).
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
        self._selector: Final = direct_selector(loop)
        self._owners: Final[dict[int, SocketOwner]] = {}
        self._is_closed = False

    def add(self, sock: socket.socket, owner: SocketOwner) -> None:
        """Watch until it is removed; input is wanted."""
        descriptor = sock.fileno()
        self._owners[descriptor] = owner
        # EPOLLHUP and EPOLLERR come unasked.
        self._selector.watch(descriptor, _INPUT, partial(self._tell, owner, descriptor))

    def want_input(self, sock: socket.socket) -> None:
        """Nothing to do: more input is another edge."""

    def want_room(self, sock: socket.socket, wanted: bool) -> None:
        """Whether to tell of room for output. Otherwise every socket whose peer has read all would be an event."""
        self._selector.change(sock.fileno(), _INPUT | (select.EPOLLOUT if wanted else 0))

    def remove(self, sock: socket.socket) -> None:
        """Stop watching, before the socket is closed. Idempotent."""
        if not self._is_closed and self._owners.pop(sock.fileno(), None) is not None:
            self._selector.give_up(sock.fileno())

    def close(self) -> None:
        """Watch nothing any more."""
        if not self._is_closed:
            self._is_closed = True
            for descriptor in self._owners:
                with suppress(OSError):  # it is closed already
                    self._selector.give_up(descriptor)
            self._owners.clear()
            let_go(self._loop, self._selector)

    def _tell(self, owner: SocketOwner, descriptor: int, events: int) -> None:
        """One thing at a time: after each it may be removed. The rest is told whatever the owner raises."""
        if not events & (_OUTPUT | _HUNG_UP):
            owner.input_came(ends=bool(events & _INPUT_ENDS))
            return
        try:
            if events & _HUNG_UP:
                rest = (events & ~_HUNG_UP) | _INPUT_ENDS
                owner.hung_up()
            else:
                rest = events & ~_OUTPUT
                owner.room_came()
        finally:
            if rest and self._owners.get(descriptor) is owner:
                self._tell(owner, descriptor, rest)


class LoopWatch:
    """A `SocketWatch` by the event loop.

    A loop tells of input and of room only, and a socket of which its owner was told is left alone until the owner wants
    more. So those are asked from time to time whether their peers have hung up.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop
        self._owners: Final[dict[socket.socket, SocketOwner]] = {}
        self._unwatched: Final[set[socket.socket]] = set()
        """Those of which the loop would not tell that they end."""
        self._hung_up: Final[set[socket.socket]] = set()
        self._probe_timer: asyncio.TimerHandle | None = None

    def add(self, sock: socket.socket, owner: SocketOwner) -> None:
        """Watch until it is removed; input is wanted."""
        self.remove(sock)
        self._owners[sock] = owner
        self.want_input(sock)

    def want_input(self, sock: socket.socket) -> None:
        """Tell of input once."""
        self._unwatched.discard(sock)
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
            self._unwatched.discard(sock)
            self._hung_up.discard(sock)

    def close(self) -> None:
        """Watch nothing any more."""
        for sock in list(self._owners):
            self.remove(sock)
        if self._probe_timer is not None:
            self._probe_timer.cancel()

    def _on_readable(self, sock: socket.socket) -> None:
        self._loop.remove_reader(sock)
        if sock not in self._hung_up:
            self._unwatched.add(sock)
            if self._probe_timer is None:
                self._probe_timer = self._loop.call_later(PROBE_S, self._probe)
        self._owners[sock].input_came(ends=True)  # for all that is known: it is told again anyway

    def _probe(self) -> None:
        for sock in _hung_up_among(self._unwatched):
            self._hung_up.add(sock)
            self._unwatched.discard(sock)
            self._loop.call_soon(self._tell_hung_up, sock, self._owners[sock])
        self._probe_timer = self._loop.call_later(PROBE_S, self._probe) if self._unwatched else None

    def _tell_hung_up(self, sock: socket.socket, owner: SocketOwner) -> None:
        if self._owners.get(sock) is owner:  # another one may have removed it
            owner.hung_up()


def _hung_up_among(socks: Collection[socket.socket]) -> list[socket.socket]:
    """Those whose peers have closed both directions, or reset; none where nobody can tell."""
    if not hasattr(select, "poll"):
        return []
    poller = select.poll()
    by_descriptor = {sock.fileno(): sock for sock in socks}
    for descriptor in by_descriptor:
        # Whether it can be read is not asked: macOS then takes the end of the peer's writing for a hang-up.
        poller.register(descriptor, select.POLLOUT)
    return [by_descriptor[descriptor] for descriptor, events in poller.poll(0) if events & ~select.POLLOUT]
