from __future__ import annotations

import contextlib
import math
import selectors
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from usbmux.client import tracker
from usbmux.client.bell import Bell, BellRungError
from usbmux.client.tracker import DeviceTracker, backoff_delays_s
from usbmux.deadlines import PAST, deadline_after
from usbmux.errors import (
    DaemonUnavailableError,
    LocalProtocolError,
    RemoteProtocolError,
    RequestTimeoutError,
    UsbmuxError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from usbmux.client.blocking_connection import BlockingConnection
    from usbmux.client.device import DeviceEvent
    from usbmux.client.listen_attempt import ListenAttempt


class Watch:
    """Device events of a daemon: iterate over it, or select on it and call `wait_event`. Made by `Client.watch`.

    The connection is made on entering the context, or when first needed. Iteration ends after `close`, which any thread
    may call; only one thread at a time may wait.
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
        self._failure: UsbmuxError | None = None
        self._is_closed = False
        self._bell: Bell | None = None
        # Who takes out the one thing in it may use the descriptors and close them; no two threads can.
        self._permits = [None]

    def __enter__(self) -> Self:
        try:
            self.fileno()
        except BaseException:
            self._hang_up()  # nobody leaves what was not entered
            raise
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
            RemoteProtocolError: The daemon broke the protocol. That ends the watch, with `reconnect` too.
        """
        deadline = deadline_after(timeout_s)
        try:
            with self._waiting() as bell:
                while not self._events and not self._is_closed:
                    self._step(bell, deadline)
                return None if self._is_closed else self._events.popleft()
        except RequestTimeoutError:
            raise
        except (BellRungError, TimeoutError):
            return None

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
            with contextlib.suppress(BellRungError), self._waiting() as bell:
                self._open(bell, math.inf)
        connection = self._connection  # another thread may close the watch
        return -1 if connection is None else connection.fileno()

    def close(self) -> None:
        """End the watch."""
        # First this, then a look at what the other thread does; the other thread looks the other way round.
        self._is_closed = True
        bell = self._bell
        if bell is not None:
            bell.ring()
        self._hang_up()

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[Bell]:
        """Use the descriptors, which `close` leaves alone until the end of the context."""
        try:
            permit = self._permits.pop()
        except IndexError:
            if self._is_closed:
                raise BellRungError from None
            raise LocalProtocolError("another thread waits for this watch") from None
        try:
            if self._is_closed:
                raise BellRungError
            if self._bell is None or not self._bell.is_own:
                self._bell = Bell.new()
            yield self._bell
        finally:
            self._permits.append(permit)
            if self._is_closed:
                self.close()

    def _hang_up(self) -> None:
        try:
            permit = self._permits.pop()
        except IndexError:
            return  # whoever waits does it at the end of the wait
        for held in (self._attempt, self._connection, self._bell):
            if held is not None:
                held.close()
        self._attempt = self._connection = self._bell = None
        self._events.clear()
        self._permits.append(permit)

    def _step(self, bell: Bell, deadline: float) -> None:
        if self._connection is not None:
            self._receive(bell, self._connection, deadline)
        elif self._delays is not None:
            self._try_again(bell, self._delays, deadline)
        else:
            self._open(bell, deadline)

    def _open(self, bell: Bell, deadline: float) -> None:
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        attempt, self._attempt = self._attempt or self._listen(), None
        try:
            connection = attempt.go_on(bell, deadline)
        except RemoteProtocolError as error:
            self._delays = None
            self._failure = error
            raise
        if connection is None:
            self._attempt = attempt  # the next wait goes on with it
            raise TimeoutError
        self._connection = connection

    def _receive(self, bell: Bell, connection: BlockingConnection, deadline: float) -> None:
        try:
            notification = connection.next_notification(PAST)
        except TimeoutError:
            if bell.wait_for((connection.stream, selectors.EVENT_READ), min(deadline, self._settled_at)):
                return
            if time.monotonic() < self._settled_at:
                raise
            self._settled_at = math.inf
            self._events.extend(self._tracker.settle())
        except UsbmuxError as error:
            connection.close()
            self._connection = None
            if not (self._reconnect and isinstance(error, DaemonUnavailableError)):
                self._failure = error
                raise
            self._tracker.connection_lost()
            self._delays = backoff_delays_s()
            self._retry_at = time.monotonic() + next(self._delays)
        else:
            self._events.extend(self._tracker.receive(notification))

    def _try_again(self, bell: Bell, delays: Iterator[float], deadline: float) -> None:
        if not bell.wait_for(self._retry_at, deadline):  # nobody tells when a daemon is back
            raise TimeoutError
        try:
            self._open(bell, deadline)
        except (DaemonUnavailableError, RequestTimeoutError):
            self._retry_at = time.monotonic() + next(delays)
        else:
            self._delays = None
            self._settled_at = math.inf if self._tracker.is_settled else time.monotonic() + tracker.SETTLE_S
