"""A bus whose transfers somebody else is told of. What is not traced does not pass through here at all."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from usbmux.errors import UsbError
from usbmux.usb.pipe import BulkPipe, BusListener, PipeReceiver, UsbBus, UsbCandidate, UsbDeviceInfo

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

    def link_opened(self, info: UsbDeviceInfo, time_ns: int) -> LinkSink:
        """The host begins to talk to a phone."""


class TracedBus:
    """A `UsbBus` that does what another one does, and tells a sink of every transfer.

    A sink that raises is told no more of that link; nobody else notices.
    """

    def __init__(self, bus: UsbBus, sink: TraceSink, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._bus = bus
        self._trace = _Trace(sink, clock_ns)

    async def start(self, listener: BusListener) -> None:
        """See `UsbBus`."""
        await self._bus.start(_TracedListener(listener, self._trace))

    def rescan(self) -> None:
        """See `UsbBus`."""
        self._bus.rescan()

    async def close(self) -> None:
        """See `UsbBus`."""
        await self._bus.close()


@dataclass(frozen=True, slots=True)
class _Trace:
    sink: TraceSink
    clock_ns: Callable[[], int]


@dataclass(frozen=True, slots=True)
class _TracedListener:
    listener: BusListener
    trace: _Trace

    def device_arrived(self, candidate: UsbCandidate) -> None:
        self.listener.device_arrived(_TracedCandidate(candidate, self.trace))

    def device_left(self, candidate: UsbCandidate) -> None:
        self.listener.device_left(_TracedCandidate(candidate, self.trace))


@dataclass(frozen=True, slots=True)
class _TracedCandidate:
    """Equal to every other one of the same candidate, as a listener knows candidates again."""

    candidate: UsbCandidate
    trace: _Trace = field(compare=False)

    @property
    def name(self) -> str:
        return self.candidate.name

    async def open(self, *, anew: bool = False) -> BulkPipe:
        return _TracedPipe(await self.candidate.open(anew=anew), self.trace)


class _TracedPipe:
    def __init__(self, pipe: BulkPipe, trace: _Trace) -> None:
        self._pipe: Final = pipe
        self._trace: Final = trace
        self._tap: _Tap | None = None

    @property
    def info(self) -> UsbDeviceInfo:
        return self._pipe.info

    def start(self, receiver: PipeReceiver) -> None:
        tap = _Tap(receiver, self._trace, self._pipe.info)
        self._pipe.start(tap)
        tap.open()  # the pipe calls nobody back before this
        self._tap = tap

    def has_free_slot(self) -> bool:
        return self._pipe.has_free_slot()

    def write(self, packet: bytes) -> None:
        self._pipe.write(packet)
        if self._tap is not None:
            self._tap.sent(packet)

    async def close(self) -> None:
        await self._pipe.close()


class _Tap:
    """A `PipeReceiver` before another one. The sink hears first, so that it hears causes before effects."""

    def __init__(self, receiver: PipeReceiver, trace: _Trace, info: UsbDeviceInfo) -> None:
        self._receiver: Final = receiver
        self._trace: Final = trace
        self._clock_ns: Final = trace.clock_ns
        self._info: Final = info
        self._sink: LinkSink | None = None

    def open(self) -> None:
        try:
            self._sink = self._trace.sink.link_opened(self._info, self._clock_ns())
        except Exception as error:  # any: a trace is no reason for a phone to fail
            self._abandon(error)

    def sent(self, packet: bytes) -> None:
        if self._sink is not None:
            try:
                self._sink.sent(packet, self._clock_ns())
            except Exception as error:  # any: see above
                self._abandon(error)

    def data_received(self, data: bytes | memoryview) -> None:
        if self._sink is not None:
            try:
                self._sink.received(data, self._clock_ns())
            except Exception as error:  # any: see above
                self._abandon(error)
        self._receiver.data_received(data)

    def slot_freed(self) -> None:
        self._receiver.slot_freed()

    def pipe_lost(self, error: UsbError | None) -> None:
        if self._sink is not None:
            try:
                self._sink.ended(str(error) if error else "closed by us", self._clock_ns())
            except Exception as failure:  # any: see above
                self._abandon(failure)
        self._receiver.pipe_lost(error)

    def _abandon(self, error: Exception) -> None:
        self._sink = None
        logger.error("%s: its trace ends here: %r", self._info.serial_number, error, exc_info=error)
