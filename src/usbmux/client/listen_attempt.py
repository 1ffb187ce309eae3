"""The way to a connection that listens, in as many turns as those who wait for it have time."""

from __future__ import annotations

import selectors
from typing import TYPE_CHECKING

from usbmux.client import operations
from usbmux.client.blocking_connection import BlockingConnection, dial
from usbmux.client.endpoint import timed_out
from usbmux.deadlines import PAST, deadline_after

if TYPE_CHECKING:
    from usbmux.client.bell import Bell
    from usbmux.client.blocking_connection import Steps, Wanted
    from usbmux.control.address import Address
    from usbmux.control.message import ClientIdentity


class ListenAttempt:
    """One attempt to listen for device events. Deadlines are readings of time.monotonic().

    Args:
        timeout_s: The longest that it may take from now on; None for no limit.
    """

    def __init__(self, address: Address, identity: ClientIdentity, timeout_s: float | None) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._limit = deadline_after(timeout_s)
        self._steps = _listen(address, identity)
        self._wanted: Wanted | None = None

    def go_on(self, bell: Bell, deadline: float) -> BlockingConnection | None:
        """Return the connection, or None if there is none before the deadline; call it again then.

        Raises:
            BellRungError: Somebody rang.
            RequestTimeoutError: It took longer than it may.
            UsbmuxError: There is no daemon, or it refused.
        """
        until = min(deadline, self._limit)
        try:
            while self._wanted is None or bell.wait_for(self._wanted, until):
                self._wanted = next(self._steps)
        except StopIteration as finished:
            connection: BlockingConnection = finished.value
            return connection
        except BaseException:
            self.close()
            raise
        if deadline < self._limit:
            return None
        self.close()
        raise timed_out(self._address, self._timeout_s)

    def close(self) -> None:
        """Give it up."""
        self._steps.close()


def _listen(address: Address, identity: ClientIdentity) -> Steps[BlockingConnection]:
    stream = yield from dial(address)
    connection = BlockingConnection(stream, address, identity)
    try:
        operation = operations.listen()
        connection.begin(operation, PAST)  # a socket that is new has room for it
        while True:
            try:
                connection.finish(operation, PAST)
                return connection
            except TimeoutError:
                yield stream, selectors.EVENT_READ
    except BaseException:
        connection.close()
        raise
