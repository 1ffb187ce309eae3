"""Runs libusb's events: on the loop by its descriptors, or by a thread where the platform has none.

libusb runs its callbacks inside its own locks, and swallows nothing but what Python raises there. So a callback
only leaves a note here; the note is acted on in the loop's thread, outside libusb, where an exception is seen and
any call into libusb is allowed.
"""

import asyncio
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from usbmux.direct_loop import DirectLoop
from usbmux.usb._usb1 import Context
from usbmux.usb.binding import event_handler, handle_events, raise_unless_interrupted

_THREAD_WAIT_S: Final = 60
_POLLIN: Final[int] = getattr(select, "POLLIN", 0)
"""Of libusb's descriptors; Windows has neither."""


class EventPump(Protocol):
    """Runs the events of one libusb context from `start` to `stop`."""

    def start(self) -> None:
        """Begin. Call in the loop's thread."""

    def notify(self, action: Callable[..., object], *arguments: object) -> None:
        """Have `action` called soon in the loop's thread, in the order of these calls. For libusb's callbacks."""

    def call_after_events(self, action: Callable[[], object]) -> None:
        """Have `action` called in the loop's thread whenever events have been run. Only one action at a time."""

    def timeout_changed(self) -> None:
        """A transfer with a timeout was submitted. Call in the loop's thread."""

    def stop(self) -> None:
        """End, after all transfers of the context have ended. Call in the loop's thread; notes left are dropped."""


def make_event_pump(context: Context, loop: asyncio.AbstractEventLoop) -> EventPump:
    """The pump that this platform allows."""
    try:
        context.getPollFDList()
    except (NotImplementedError, OSError):  # libusb has no descriptors here, as on Windows
        return ThreadPump(context, loop)
    return DescriptorPump(context, loop)


class _Notes:
    """Actions that wait for the loop; filled from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.actions: Final[deque[tuple[Callable[..., object], tuple[object, ...]]]] = deque()
        """Those that wait."""

    def add(self, action: Callable[..., object], arguments: tuple[object, ...]) -> bool:
        """Returns: Whether it is the first one, so that somebody must be told."""
        self.actions.append((action, arguments))
        return len(self.actions) == 1

    def act(self) -> None:
        """Act on every note there is; what is noted meanwhile is left for the next call."""
        try:
            for _ in range(len(self.actions)):
                action, arguments = self.actions.popleft()
                action(*arguments)
        finally:
            if self.actions:
                self._loop.call_soon(self.act)

    def drop(self) -> None:
        self.actions.clear()


class DescriptorPump:
    """An `EventPump` without a thread: libusb's descriptors are watched by the event loop."""

    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._handle_now = event_handler(context)
        self._notes = _Notes(loop)
        self._is_handling = False
        self._is_running = False
        self._watched: dict[int, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._after_events: Callable[[], object] = _do_nothing

    def start(self) -> None:
        """Begin."""
        self._is_running = True
        self._context.setPollFDNotifiers(self._descriptor_added, self._descriptor_removed)
        for descriptor, events in self._context.getPollFDList():
            self._watch(descriptor, events)
        self._handle_events()

    def notify(self, action: Callable[..., object], *arguments: object) -> None:
        """Note what libusb called back."""
        is_first = self._notes.add(action, arguments)
        if is_first and not self._is_handling:
            # A call in a worker thread ran libusb's events, or a registration called back at once.
            self._loop.call_soon_threadsafe(self._notes.act)

    def call_after_events(self, action: Callable[[], object]) -> None:
        """Whom to call after each run of events."""
        self._after_events = action

    def timeout_changed(self) -> None:
        """Wake up in time, where libusb has no timer descriptor of its own."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        timeout_s = self._context.getNextTimeout()
        if timeout_s is not None:
            self._timer = self._loop.call_later(timeout_s, self._handle_events)

    def stop(self) -> None:
        """End."""
        self._is_running = False
        self._context.setPollFDNotifiers(None, None)
        for descriptor in list(self._watched):
            self._unwatch(descriptor)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._after_events = _do_nothing
        self._notes.drop()

    def _handle_events(self, _events: int = 0) -> None:
        if not self._is_running:
            return
        self._is_handling = True
        try:
            if code := self._handle_now():
                raise_unless_interrupted(code)
        finally:
            self._is_handling = False
            try:
                if self._notes.actions:
                    self._notes.act()
            finally:
                if self._timer is not None:
                    self.timeout_changed()
                self._after_events()

    def _descriptor_added(self, descriptor: int, events: int, _user_data: object) -> None:
        if threading.get_ident() == self._loop_thread:
            self._watch(descriptor, events)
        else:
            self._loop.call_soon_threadsafe(self._watch, descriptor, events)

    def _descriptor_removed(self, descriptor: int, _user_data: object) -> None:
        # Devices are closed in the loop's thread only: the number must leave the loop before it is used again.
        if threading.get_ident() == self._loop_thread:
            self._unwatch(descriptor)
        else:
            self._loop.call_soon_threadsafe(self._unwatch, descriptor)

    def _watch(self, descriptor: int, events: int) -> None:
        if not self._is_running:
            return
        self._watched[descriptor] = events
        # A device's descriptor becomes writable when a transfer has ended.
        if isinstance(self._loop, DirectLoop):
            self._loop.direct.watch(descriptor, events, self._handle_events)
        elif events & _POLLIN:
            self._loop.add_reader(descriptor, self._handle_events)
        else:
            self._loop.add_writer(descriptor, self._handle_events)

    def _unwatch(self, descriptor: int) -> None:
        events = self._watched.pop(descriptor, None)
        if events is None:
            return
        if isinstance(self._loop, DirectLoop):
            self._loop.direct.give_up(descriptor)
        elif events & _POLLIN:
            self._loop.remove_reader(descriptor)
        else:
            self._loop.remove_writer(descriptor)


class ThreadPump:
    """An `EventPump` whose events are run by a thread of its own."""

    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop
        self._notes = _Notes(loop)
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="usbmux libusb events", daemon=True)
        self._after_events: Callable[[], object] = _do_nothing
        self._is_call_due = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def notify(self, action: Callable[..., object], *arguments: object) -> None:
        """Note what libusb called back, and wake the loop."""
        if self._notes.add(action, arguments):
            self._loop.call_soon_threadsafe(self._notes.act)

    def call_after_events(self, action: Callable[[], object]) -> None:
        """Whom to have called by the loop after each run of events."""
        self._after_events = action

    def timeout_changed(self) -> None:
        """Nothing to do: libusb wakes the thread."""

    def stop(self) -> None:
        """End; waits for the thread, which waits for nobody."""
        self._is_stopping = True
        self._context.interruptEventHandler()
        self._thread.join()
        self._after_events = _do_nothing
        self._notes.drop()

    def _run(self) -> None:
        while not self._is_stopping:
            handle_events(self._context, _THREAD_WAIT_S)
            if not self._is_call_due and not self._is_stopping:
                self._is_call_due = True
                self._loop.call_soon_threadsafe(self._call_after_events)

    def _call_after_events(self) -> None:
        self._is_call_due = False  # before the call: events that are run during it want another one
        self._after_events()


def _do_nothing() -> None: ...
