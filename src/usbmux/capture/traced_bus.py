"""A bus whose transfers somebody else can be told of."""

from collections.abc import Callable, Sequence
from typing import Final

from usbmux.capture.trace_hub import LinkTap, TraceHub
from usbmux.errors import UsbError
from usbmux.usb.pipe import BulkPipe, BusListener, PipeReceiver, UsbBus, UsbCandidate, UsbDeviceInfo
from usbmux.values import field, frozen


class TracedBus:
    """A `UsbBus` that does what another one does, and tells the sinks of a hub of every transfer.

    While the hub has no sinks, a write costs nothing more, and what reads bring one call.
    """

    def __init__(self, bus: UsbBus, hub: TraceHub) -> None:
        self._bus = bus
        self._hub = hub

    async def start(self, listener: BusListener) -> None:
        """See `UsbBus`."""
        await self._bus.start(_TracedListener(listener, self._hub))

    def rescan(self) -> None:
        """See `UsbBus`."""
        self._bus.rescan()

    async def close(self) -> None:
        """See `UsbBus`."""
        await self._bus.close()


@frozen
class _TracedListener:
    listener: BusListener
    hub: TraceHub

    def device_arrived(self, candidate: UsbCandidate) -> None:
        self.listener.device_arrived(_TracedCandidate(candidate, self.hub))

    def device_left(self, candidate: UsbCandidate) -> None:
        self.listener.device_left(_TracedCandidate(candidate, self.hub))


@frozen
class _TracedCandidate:
    """Equal to every other one of the same candidate, as a listener knows candidates again."""

    candidate: UsbCandidate
    hub: TraceHub = field(compare=False)

    @property
    def name(self) -> str:
        return self.candidate.name

    async def open(self, *, anew: bool = False) -> BulkPipe:
        return _TracedPipe(await self.candidate.open(anew=anew), self.hub)


class _TracedPipe:
    def __init__(self, pipe: BulkPipe, hub: TraceHub) -> None:
        self._pipe: Final = pipe
        self._tap: Final = hub.tap(pipe.info)
        self.has_free_slot: Final = pipe.has_free_slot  # asked for every packet, so without a call in between
        self.free_buffer: Final = pipe.free_buffer
        self.drain: Final = pipe.drain
        self.write: Callable[[bytes], None] = pipe.write  # nor these, while nobody listens
        self.write_buffer: Callable[[int], None] = pipe.write_buffer
        self._tap.changed = self._choose_write

    @property
    def info(self) -> UsbDeviceInfo:
        return self._pipe.info

    def start(self, receiver: PipeReceiver) -> None:
        self._pipe.start(_TracedReceiver(receiver, self._tap))
        self._tap.open()  # the pipe calls nobody back before this

    def _choose_write(self) -> None:
        is_heard = bool(self._tap.listeners)
        self.write = self._write_and_tell if is_heard else self._pipe.write
        self.write_buffer = self._write_buffer_and_tell if is_heard else self._pipe.write_buffer

    def _write_and_tell(self, packet: bytes) -> None:
        self._pipe.write(packet)
        self._tap.sent(packet)

    def _write_buffer_and_tell(self, length: int) -> None:
        buffer = self._pipe.free_buffer()
        packet = bytes(buffer[:length]) if buffer is not None else b""
        self._pipe.write_buffer(length)
        self._tap.sent(packet)

    async def close(self) -> None:
        await self._pipe.close()


class _TracedReceiver:
    """A `PipeReceiver` before another one. Sinks hear first, so that they hear causes before effects."""

    def __init__(self, receiver: PipeReceiver, tap: LinkTap) -> None:
        self._receiver: Final = receiver
        self._tap: Final = tap
        self.ran_low: Final = receiver.ran_low
        self.slot_freed: Final = receiver.slot_freed

    def data_received(self, pieces: Sequence[bytes | memoryview]) -> None:
        if self._tap.listeners:
            for data in pieces:
                self._tap.received(data)
        self._receiver.data_received(pieces)

    def pipe_lost(self, error: UsbError | None) -> None:
        self._tap.end(str(error) if error else "closed by us")
        self._receiver.pipe_lost(error)
