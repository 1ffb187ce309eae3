"""Whether the event loop watches a socket for input and for room."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final


class Readiness:
    """The loop's callbacks for one socket, each of them on or off. Switching to what is already so costs nothing."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        *,
        on_readable: Callable[[], None],
        on_writable: Callable[[], None],
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
        if wanted and not self._is_reading:
            self._loop.add_reader(self._descriptor, self._on_readable)
        elif not wanted and self._is_reading:
            self._loop.remove_reader(self._descriptor)
        self._is_reading = wanted

    def write(self, wanted: bool) -> None:
        """Call `on_writable` whenever there is room, or do not."""
        if wanted and not self._is_writing:
            self._loop.add_writer(self._descriptor, self._on_writable)
        elif not wanted and self._is_writing:
            self._loop.remove_writer(self._descriptor)
        self._is_writing = wanted

    def end(self) -> None:
        """Neither, so that the socket can be closed or handed on."""
        self.read(False)
        self.write(False)
