from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from usbmux.client import tracker
from usbmux.client.blocking_connection import deadline_after, wait_for
from usbmux.client.tracker import DeviceTracker, backoff_delays_s
from usbmux.errors import DaemonUnavailableError, RequestTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from usbmux.client.blocking_connection import BlockingConnection
    from usbmux.client.device import DeviceEvent
    from usbmux.client.listen_attempt import ListenAttempt


class Watch:
    """Device events of a daemon: iterate over it, or select on it and call `wait_event`. Made by `Client.watch`.

    The connection is made on entering the context, or when first needed. Iteration ends after `close`.
    """

    def __init__(self, listen: Callable[[], ListenAttempt], *, reconnect: bool) -> None:
        self._listen = listen
        self._reconnect = reconnect
        self._tracker = DeviceTracker()
        self._attempt: ListenAttempt | None = None
        self._connection: BlockingConnection | None = None
        self._events: deque[DeviceEvent] = deque()
        self._delays: Iterator[float] | None = None
        self._retry_at = 0.0
        self._settled_at = math.inf
        self._is_closed = False

    def __enter__(self) -> Self:
        self.fileno()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> DeviceEvent:
        event = self.wait_event()
        if event is None:
            raise StopIteration
        return event

    def wait_event(self, timeout_s: float | None = None) -> DeviceEvent | None:
        """Wait for the next event.

        Args:
            timeout_s: The longest wait, None for no limit, 0 for what is there already.

        Returns:
            The event, or None if none came in time or the watch is closed.

        Raises:
            DaemonUnavailableError: The daemon is not there at the start, or hung up and `reconnect` was not asked for.
            RequestTimeoutError: The daemon did not answer at the start within the client's `timeout_s`.
        """
        deadline = deadline_after(timeout_s)
        while not self._events and not self._is_closed:
            try:
                self._step(deadline)
            except RequestTimeoutError:
                raise
            except TimeoutError:
                return None
        return self._events.popleft() if self._events else None

    def fileno(self) -> int:
        """Return the descriptor that is readable when the daemon has sent something.

        It may change when the daemon was restarted. Take events until `wait_event(0)` returns None before selecting.

        Raises:
            DaemonUnavailableError: The daemon is not there; with `reconnect`, `wait_event` brings it back.
        """
        if self._is_closed:
            return -1
        if self._connection is None:
            if self._delays is not None:
                raise DaemonUnavailableError("the usbmux daemon is away")
            self._open(math.inf)
        return -1 if self._connection is None else self._connection.fileno()

    def close(self) -> None:
        """End the watch."""
        self._is_closed = True
        self._events.clear()
        if self._attempt is not None:
            self._attempt.close()
            self._attempt = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _step(self, deadline: float) -> None:
        if self._connection is not None:
            self._receive(self._connection, deadline)
        elif self._delays is not None:
            self._try_again(self._delays, deadline)
        else:
            self._open(deadline)

    def _open(self, deadline: float) -> None:
        attempt, self._attempt = self._attempt or self._listen(), None
        connection = attempt.go_on(deadline)
        if connection is None:
            self._attempt = attempt  # the next wait goes on with it
            raise TimeoutError
        self._connection = connection

    def _receive(self, connection: BlockingConnection, deadline: float) -> None:
        try:
            notification = connection.next_notification(min(deadline, self._settled_at))
        except TimeoutError:
            if time.monotonic() < self._settled_at:
                raise
            self._settled_at = math.inf
            self._events.extend(self._tracker.settle())
        except DaemonUnavailableError:
            if not self._reconnect:
                raise
            connection.close()
            self._connection = None
            self._tracker.connection_lost()
            self._delays = backoff_delays_s()
            self._retry_at = time.monotonic() + next(self._delays)
        else:
            self._events.extend(self._tracker.receive(notification))

    def _try_again(self, delays: Iterator[float], deadline: float) -> None:
        if not wait_for(self._retry_at, deadline):  # nobody tells when a daemon is back
            raise TimeoutError
        try:
            self._open(deadline)
        except (DaemonUnavailableError, RequestTimeoutError):
            self._retry_at = time.monotonic() + next(delays)
        else:
            self._delays = None
            self._settled_at = math.inf if self._tracker.is_settled else time.monotonic() + tracker.SETTLE_S
