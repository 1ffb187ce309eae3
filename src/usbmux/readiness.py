"""Whether the event loop watches a socket for input and for room."""

import asyncio
import select
import socket
from collections.abc import Callable
from typing import Final

from usbmux.direct_loop import DirectLoop


def _do_nothing() -> None: ...


class Readiness:
    """The loop's callbacks for one socket, each of them on or off. Switching to what is already so costs nothing.

    Args:
        on_readable: Called while there is input, or nothing will come any more.
        on_writable: Called while there is room, or nothing can be sent any more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        *,
        on_readable: Callable[[], None],
        on_writable: Callable[[], None] = _do_nothing,
    ) -> None:
        self._loop: Final = loop
        self._descriptor: Final = sock.fileno()  # the loop finds a number sooner than a socket
        self._on_readable: Final = on_readable
        self._on_writable: Final = on_writable
        self._is_reading = False
        self._is_writing = False

    @property
    def is_writing(self) -> bool:
        """Whether `on_writable` is on."""
        return self._is_writing

    def read(self, wanted: bool) -> None:
        """Call `on_readable` whenever there is input, or do not."""
        if wanted != self._is_reading:
            self._is_reading = wanted
            if isinstance(self._loop, DirectLoop):
                self._watch(self._loop, was_watched=self._is_writing or not wanted)
            elif wanted:
                self._loop.add_reader(self._descriptor, self._on_readable)
            else:
                self._loop.remove_reader(self._descriptor)

    def write(self, wanted: bool) -> None:
        """Call `on_writable` whenever there is room, or do not."""
        if wanted != self._is_writing:
            self._is_writing = wanted
            if isinstance(self._loop, DirectLoop):
                self._watch(self._loop, was_watched=self._is_reading or not wanted)
            elif wanted:
                self._loop.add_writer(self._descriptor, self._on_writable)
            else:
                self._loop.remove_writer(self._descriptor)

    def end(self) -> None:
        """Neither, so that the socket can be closed or handed on."""
        self.read(False)
        self.write(False)

    def _watch(self, loop: DirectLoop, *, was_watched: bool) -> None:
        events = (select.EPOLLIN if self._is_reading else 0) | (select.EPOLLOUT if self._is_writing else 0)
        if not events:
            # Otherwise the end of the socket, which comes unasked, would be told without end.
            loop.direct.give_up(self._descriptor)
        elif was_watched:
            loop.direct.change(self._descriptor, events)
        else:
            loop.direct.watch(self._descriptor, events, self._tell)

    def _tell(self, events: int) -> None:
        """An end or an error concerns both."""
        if events & ~select.EPOLLOUT and self._is_reading:
            self._on_readable()
        if events & ~select.EPOLLIN and self._is_writing:
            self._on_writable()
