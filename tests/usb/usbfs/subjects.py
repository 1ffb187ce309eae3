"""What the cases watch: a listener and a receiver that record, and a wait for something to come true."""

import asyncio
from collections.abc import Callable, Sequence

from usbmux.errors import UsbError
from usbmux.usb.pipe import BulkPipe, UsbCandidate

_LOOK_AGAIN_S = 0.001


async def until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    """Let the loop run until something is true.

    Raises:
        TimeoutError: It did not come true.
    """
    loop = asyncio.get_running_loop()
    came_true = loop.create_future()

    def look() -> None:
        if came_true.done():
            return
        if condition():
            came_true.set_result(None)
        else:
            loop.call_later(_LOOK_AGAIN_S, look)

    look()
    await asyncio.wait_for(came_true, timeout_s)


class Arrivals:
    """A `BusListener` that keeps what is there and what came and went."""

    def __init__(self) -> None:
        self.present: list[UsbCandidate] = []
        self.log: list[str] = []

    def device_arrived(self, candidate: UsbCandidate) -> None:
        self.present.append(candidate)
        self.log.append(f"+{candidate.name}")

    def device_left(self, candidate: UsbCandidate) -> None:
        self.present.remove(candidate)
        self.log.append(f"-{candidate.name}")

    async def first(self) -> UsbCandidate:
        """The first one that is there."""
        await until(lambda: bool(self.present))
        return self.present[0]


class Received:
    """A `PipeReceiver` that keeps everything."""

    def __init__(self) -> None:
        self.transfers: list[bytes] = []
        self.slots_freed = 0
        self.losses: list[UsbError | None] = []
        self.calls_after_loss = 0

    def data_received(self, pieces: Sequence[bytes | memoryview]) -> None:
        self.transfers += map(bytes, pieces)
        self.calls_after_loss += bool(self.losses)

    def ran_low(self) -> None:
        self.calls_after_loss += bool(self.losses)

    def slot_freed(self) -> None:
        self.slots_freed += 1
        self.calls_after_loss += bool(self.losses)

    def pipe_lost(self, error: UsbError | None) -> None:
        self.losses.append(error)

    @property
    def data(self) -> bytes:
        """All that was read."""
        return b"".join(self.transfers)


async def write_all(pipe: BulkPipe, packets: list[bytes]) -> None:
    """Write packets, waiting for slots."""
    for packet in packets:
        await until(pipe.has_free_slot)
        pipe.write(packet)
