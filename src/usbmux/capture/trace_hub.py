"""Who is told of transfers, and the place where they come and go while phones are being used."""

import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from usbmux.usb.pipe import UsbDeviceInfo

logger = logging.getLogger("usbmux.capture")


class LinkSink(Protocol):
    """Who is told of the transfers of one link, in order. Times are in nanoseconds since 1970."""

    def sent(self, packet: bytes, time_ns: int) -> None:
        """The host handed a packet to the bus."""

    def received(self, data: bytes | memoryview, time_ns: int) -> None:
        """A bulk IN transfer completed. `data` is valid only during the call."""

    def ended(self, reason: str, time_ns: int) -> None:
        """The link is over; the last call."""


class TraceSink(Protocol):
    """Who is told of links."""

    def link_opened(self, info: UsbDeviceInfo, time_ns: int, *, is_under_way: bool = False) -> LinkSink | None:
        """The host begins to talk to a phone.

        Args:
            info: Who the phone is.
            time_ns: When.
            is_under_way: The host has begun before, and may be amid a packet of the phone.

        Returns:
            Who is told of the link; None if nobody wants to know.
        """

    def trace_ended(self, time_ns: int) -> None:
        """The sink is told no more, whatever links are open; the last call."""


class LinkTap:
    """One link. While `listeners` is empty nobody wants to know, and nothing needs to be told."""

    def __init__(self, hub: "TraceHub", info: UsbDeviceInfo) -> None:
        self.listeners: tuple[tuple[TraceSink, LinkSink], ...] = ()
        self.changed: Callable[[], None] = _do_nothing
        """Called when `listeners` has changed."""
        self._hub: Final = hub
        self._info: Final = info

    def open(self) -> None:
        """The host begins to talk."""
        self._hub.link_began(self)

    def join(self, sink: TraceSink, *, is_under_way: bool) -> None:
        """Tell this sink too from now on, if it wants to know."""
        try:
            link = sink.link_opened(self._info, self._hub.clock_ns(), is_under_way=is_under_way)
        except Exception as error:  # any: a trace is no reason for a phone to fail
            self._abandon(sink, error)
        else:
            if link is not None:
                self.listeners += ((sink, link),)
                self.changed()

    def leave(self, sink: TraceSink) -> None:
        """Tell this sink no more."""
        self.listeners = tuple(listener for listener in self.listeners if listener[0] is not sink)
        self.changed()

    def sent(self, packet: bytes) -> None:
        """The host handed a packet to the bus."""
        time_ns = self._hub.clock_ns()
        for sink, link in self.listeners:
            try:
                link.sent(packet, time_ns)
            except Exception as error:  # any: see above
                self._abandon(sink, error)

    def received(self, data: bytes | memoryview) -> None:
        """A bulk IN transfer completed."""
        time_ns = self._hub.clock_ns()
        for sink, link in self.listeners:
            try:
                link.received(data, time_ns)
            except Exception as error:  # any: see above
                self._abandon(sink, error)

    def end(self, reason: str) -> None:
        """The link is over."""
        self._hub.link_ended(self)
        time_ns = self._hub.clock_ns()
        for sink, link in self.listeners:
            try:
                link.ended(reason, time_ns)
            except Exception as error:  # any: see above
                self._abandon(sink, error)

    def _abandon(self, sink: TraceSink, error: Exception) -> None:
        self.leave(sink)
        logger.error("%s: its trace ends here: %r", self._info.serial_number, error, exc_info=error)


class TraceHub:
    """The sinks of some buses; each hears of every link that is open, was opened before it came, or is opened.

    A sink that raises is told no more of that link; nobody else notices.
    """

    def __init__(self, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.clock_ns: Final = clock_ns
        self._sinks: Final[list[TraceSink]] = []
        self._taps: Final[dict[LinkTap, None]] = {}

    def add(self, sink: TraceSink) -> None:
        """Tell this sink from now on."""
        self._sinks.append(sink)
        for tap in self._taps:
            tap.join(sink, is_under_way=True)

    def remove(self, sink: TraceSink) -> None:
        """Tell this sink no more."""
        self._sinks.remove(sink)
        for tap in self._taps:
            tap.leave(sink)
        try:
            sink.trace_ended(self.clock_ns())
        except Exception as error:  # any: see above
            logger.error("a trace did not end well: %r", error, exc_info=error)

    def tap(self, info: UsbDeviceInfo) -> LinkTap:
        """For a link that is about to be opened."""
        return LinkTap(self, info)

    def link_began(self, tap: LinkTap) -> None:
        """The link of this tap is open."""
        self._taps[tap] = None
        for sink in self._sinks:
            tap.join(sink, is_under_way=False)

    def link_ended(self, tap: LinkTap) -> None:
        """The link of this tap is over."""
        del self._taps[tap]


def _do_nothing() -> None: ...
