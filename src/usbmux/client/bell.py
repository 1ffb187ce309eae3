"""What ends the wait of one thread from another one, alike on every system."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from typing import TYPE_CHECKING, Self

from usbmux.client.blocking_connection import select_before
from usbmux.errors import DaemonUnavailableError

if TYPE_CHECKING:
    from usbmux.client.blocking_connection import Wanted


class BellRungError(Exception):
    """The wait is to end. Never leaves the package."""


class Bell:
    """One thread waits with it, any other may ring. It rings on for those who begin to wait later.

    To ring is to shut down one end of a pair: nothing is closed that the thread which waits may be using, and a process
    that was forked meanwhile, which has the same sockets, does not keep it from being heard. That process is to put up
    one of its own. Without `close`, it is taken down when nobody has it any more.

    Args:
        heard: One end of a pair of sockets.
        rung: The other one.
    """

    def __init__(self, heard: socket.socket, rung: socket.socket) -> None:
        self._heard = heard
        self._rung = rung
        self._process = os.getpid()

    def __del__(self) -> None:
        self.close()

    @classmethod
    def new(cls) -> Self:
        """Put one up.

        Raises:
            DaemonUnavailableError: No descriptors are left.
        """
        try:
            return cls(*socket.socketpair())
        except OSError as error:
            raise DaemonUnavailableError(f"cannot watch the usbmux daemon: {error.strerror or error}") from error

    @property
    def is_own(self) -> bool:
        """Whether it was put up by this process, and not by one from which this process was forked."""
        return self._process == os.getpid()

    def wait_for(self, wanted: Wanted, deadline: float) -> bool:
        """Wait for that; return whether it came before the deadline.

        Raises:
            BellRungError: Somebody rang.
        """
        bell = (self._heard, selectors.EVENT_READ)
        if isinstance(wanted, float):
            ready = select_before(min(wanted, deadline), bell)
        else:
            ready = select_before(deadline, bell, wanted)
        if self._heard in ready:
            raise BellRungError
        return wanted <= deadline if isinstance(wanted, float) else bool(ready)

    def ring(self) -> None:
        """End the wait under way and all later ones, in the process that put it up; from another one, do nothing."""
        if self.is_own:
            with contextlib.suppress(OSError):  # it was taken down meanwhile
                self._rung.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Take it down. Nobody may wait with it."""
        self._rung.close()
        self._heard.close()
