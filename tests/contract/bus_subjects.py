"""What the contract suite of the bus is run with: a rig, a phone that is told what to do, and a listening host."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from tests.usb.usbfs.subjects import until
from usbmux.usb.pipe import BulkPipe, UsbBus, UsbCandidate, UsbDeviceInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence, Sized

    from usbmux.errors import UsbError
    from usbmux.usb.function import UsbFunction

MOST_SLOTS = 64
_SPEEDS = {512: 480_000_000, 1024: 5_000_000_000}


class Rig(Protocol):
    """A bus that is not started, and the hand that plugs phones into it."""

    @property
    def bus(self) -> UsbBus: ...
    def plug(self, function: UsbFunction) -> None: ...
    def unplug(self, function: UsbFunction) -> None: ...


class Phone:
    """A `UsbFunction` that keeps every transfer, put together up to its short packet, and may send it back."""

    def __init__(
        self, serial_number: str = "00008030-001A2B3C4D5E6F01", *, max_packet_size: int = 512, is_echo: bool = False
    ) -> None:
        self.info = UsbDeviceInfo(serial_number, 0x12A8, 0, _SPEEDS[max_packet_size], "")
        self.max_packet_size = max_packet_size
        self.transfers: list[bytes] = []
        self._is_echo = is_echo
        self._pieces: list[bytes] = []
        self._send: Callable[[bytes], None] | None = None

    def connected(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._pieces.clear()

    def bulk_out(self, data: bytes) -> None:
        self._pieces.append(data)
        if data and len(data) % self.max_packet_size == 0:
            return
        transfer = b"".join(self._pieces)
        self._pieces.clear()
        self.transfers.append(transfer)
        if self._is_echo:
            self.send(transfer)

    def disconnected(self) -> None:
        self._send = None

    def send(self, *transfers: bytes) -> None:
        if self._send is not None:
            for transfer in transfers:
                self._send(transfer)


class Listener:
    """A `BusListener` that keeps what came and went, and insists on how it is called."""

    def __init__(self) -> None:
        self.log: list[tuple[str, UsbCandidate]] = []
        self.present: list[UsbCandidate] = []
        self.is_calling = False
        self.faults: list[str] = []
        self.raises = False
        self._thread = threading.get_ident()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around every plain call into the bus: nothing may be reported from inside it."""
        self.is_calling = True
        yield
        self.is_calling = False

    def device_arrived(self, candidate: UsbCandidate) -> None:
        self._note("arrived", candidate)
        self.present.append(candidate)
        self._raise()

    def device_left(self, candidate: UsbCandidate) -> None:
        self._note("left", candidate)
        self.present.remove(candidate)
        self._raise()

    @property
    def words(self) -> list[str]:
        """What came and went, without who."""
        return [word for word, _ in self.log]

    async def one(self) -> UsbCandidate:
        """The only phone, as soon as it is there."""
        await until(lambda: bool(self.present))
        (candidate,) = self.present
        return candidate

    def _note(self, word: str, candidate: UsbCandidate) -> None:
        self.log.append((word, candidate))
        if self.is_calling:
            self.faults.append(f"{word} from inside a call into the bus")
        if threading.get_ident() != self._thread:
            self.faults.append(f"{word} in another thread")

    def _raise(self) -> None:
        if self.raises:
            raise RuntimeError("the listener's fault")


class Receiver:
    """A `PipeReceiver` that keeps everything and insists on how it is called."""

    def __init__(self, pipe: BulkPipe) -> None:
        self.data = bytearray()
        self.calls: list[str] = []
        self.losses: list[UsbError | None] = []
        self.faults: list[str] = []
        self.when_received: Callable[[], object] = lambda: None
        self.when_freed: Callable[[], object] = lambda: None
        self.when_lost: Callable[[], object] = lambda: None
        self._pipe = pipe
        self._is_inside: str | None = None
        self._thread = threading.get_ident()

    @property
    def slots_freed(self) -> int:
        """How often that was called."""
        return self.calls.count("slot_freed")

    def start(self) -> None:
        """Start the pipe."""
        with self._inside("start"):
            self._pipe.start(self)

    def has_free_slot(self) -> bool:
        """Ask the pipe."""
        with self._inside("has_free_slot"):
            return self._pipe.has_free_slot()

    def write(self, packet: bytes) -> None:
        """Write to the pipe, if need be from inside a callback."""
        with self._inside("write"):
            self._pipe.write(packet)

    def write_in_place(self, packet: bytes) -> None:
        """Write from the pipe's own memory, and spoil what is left of it."""
        with self._inside("free_buffer"):
            buffer = self._pipe.free_buffer()
        assert buffer is not None
        buffer[: len(packet)] = packet
        buffer[len(packet) :] = b"\xee" * (len(buffer) - len(packet))
        with self._inside("write_buffer"):
            self._pipe.write_buffer(len(packet))

    async def write_when_free(self, packet: bytes) -> None:
        """Write as soon as there is a slot."""
        await until(self._pipe.has_free_slot)
        self.write(packet)

    def data_received(self, pieces: Sequence[bytes | memoryview]) -> None:
        with self._called("data_received"):
            self.data += b"".join(pieces)
            if not pieces or not all(pieces):
                self.faults.append("empty data")
            self.when_received()

    def ran_low(self) -> None:
        with self._called("ran_low"):
            pass

    def slot_freed(self) -> None:
        with self._called("slot_freed"):
            if not self._pipe.has_free_slot():
                self.faults.append("slot_freed, but no slot is free")
            self.when_freed()

    def pipe_lost(self, error: UsbError | None) -> None:
        with self._called("pipe_lost"):
            self.losses.append(error)
            if self._pipe.has_free_slot():
                self.faults.append("a slot is free in a lost pipe")
            self.when_lost()

    @contextmanager
    def _called(self, name: str) -> Iterator[None]:
        if self._is_inside is not None:
            self.faults.append(f"{name} from inside {self._is_inside}")
        if self.losses:
            self.faults.append(f"{name} after pipe_lost")
        if threading.get_ident() != self._thread:
            self.faults.append(f"{name} in another thread")
        self.calls.append(name)
        with self._inside(name):
            yield

    @contextmanager
    def _inside(self, name: str) -> Iterator[None]:
        outer, self._is_inside = self._is_inside, name
        try:
            yield
        finally:
            self._is_inside = outer


async def opened(rig: Rig, phone: UsbFunction) -> tuple[UsbCandidate, BulkPipe]:
    """Plug a phone into a bus that is not started yet, start it, and open the phone."""
    listener = Listener()
    rig.plug(phone)
    await rig.bus.start(listener)
    candidate = await listener.one()
    return candidate, await candidate.open()


async def started(rig: Rig, phone: UsbFunction) -> tuple[BulkPipe, Receiver]:
    """The same, and start the pipe."""
    _, pipe = await opened(rig, phone)
    receiver = Receiver(pipe)
    receiver.start()
    return pipe, receiver


async def finish(pipe: BulkPipe, receiver: Receiver) -> None:
    """Close the pipe, and look whether it kept to the contract up to its end and beyond."""
    await pipe.close()
    calls = list(receiver.calls)
    await turns()
    assert receiver.calls == calls
    assert calls[-1] == "pipe_lost"
    assert len(receiver.losses) == 1
    assert receiver.faults == []


def fill(receiver: Receiver) -> int:
    """Take every slot without letting the loop turn."""
    count = 0
    while receiver.has_free_slot() and count <= MOST_SLOTS:
        receiver.write(bytes([count]) * 100)
        count += 1
    return count


async def until_length(items: Sized, length: int) -> None:
    """Let the loop run until there are so many of something, or more."""
    await until(lambda: len(items) >= length)


async def turns(count: int = 20) -> None:
    """Let the loop turn a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


@contextmanager
def collected_exceptions() -> Iterator[list[BaseException | None]]:
    """What reaches the loop's exception handler meanwhile."""
    loop = asyncio.get_running_loop()
    exceptions: list[BaseException | None] = []
    loop.set_exception_handler(lambda _loop, context: exceptions.append(context.get("exception")))
    yield exceptions
    loop.set_exception_handler(None)
