"""The bulk transfers of a pipe: reads that are always in flight, and writes in a bounded number of slots.

Whoever runs libusb's events calls `collect` afterwards, in the loop's thread. Neither class decides what an error
means: it reports through its `PipeEvents`, and goes on after `resume`.
"""

import asyncio
from collections.abc import Callable, Sequence, Sized
from mmap import mmap
from typing import Final, Protocol

from usbmux.errors import LocalProtocolError, UsbDisconnectedError, UsbError, UsbStallError
from usbmux.usb.binding import ErrorCode, TransferStatus, error_from_code
from usbmux.usb.pipe import BUFFER_SIZE

_READ: Final = "read from the phone"
_WRITE: Final = "write to the phone"
_COMPLETED: Final = int(TransferStatus.COMPLETED)  # plain numbers: a member of an enum takes longer to compare
_NOT_SUPPORTED: Final = int(ErrorCode.NOT_SUPPORTED)


class Ending(Protocol):
    """What libusb writes down when a transfer ends."""

    @property
    def status(self) -> int:
        """How it ended: a `TransferStatus`."""

    @property
    def actual_length(self) -> int:
        """How many bytes it carried."""


class Transfer(Protocol):
    """A `BulkTransfer`; hashable."""

    @property
    def memory(self) -> memoryview:
        """What it reads into or writes."""

    @property
    def length(self) -> int:
        """How many bytes it is to carry."""

    @property
    def fields(self) -> Ending:
        """How it ended last."""

    def set_length(self, length: int) -> None:
        """How many bytes of its memory it is to carry next: the first."""

    def set_zero_packet(self, wanted: bool) -> None:
        """Whether a zero-length packet follows data that ends with a full one."""

    def submit(self) -> int:
        """Begin it. Returns: 0, or libusb's number of an error, after which it will not be among those that ended."""

    def cancel(self) -> None:
        """Have it end soon. No effect if it is not in flight."""


class Endpoint(Protocol):
    """A `BulkEndpoint`, or one of a test that ends transfers in ways that no kernel can be made to."""

    @property
    def address(self) -> int:
        """Its number and direction, as in the descriptor."""

    @property
    def ended(self) -> Sized:
        """False if nothing has ended that was not taken: to ask this is shorter than to take nothing."""

    def new_transfer(self, memory: memoryview) -> Transfer:
        """A transfer from or to some memory, which is its own."""

    def take_ended(self) -> Sequence[Transfer]:
        """The transfers that have ended and were not taken yet, in order."""

    def close(self) -> None:
        """Free the transfers."""


class PipeEvents(Protocol):
    """Whom the endpoints tell. Called in the loop's thread, never from inside a call into an endpoint."""

    def slot_freed(self) -> None:
        """A write ended after there was no free slot."""

    def read_stalled(self) -> None:
        """A read ended in a stall, for the first time since one ended well."""

    def transfer_failed(self, error: UsbError) -> None:
        """A transfer ended in an error, or could not be submitted."""


class _InFlight:
    """How many transfers libusb has now."""

    def __init__(self) -> None:
        self.count = 0
        self._is_empty: asyncio.Future[None] | None = None

    def ended(self, count: int) -> None:
        self.count -= count
        if self._is_empty is not None and not self.count:
            self._is_empty.set_result(None)
            self._is_empty = None

    async def wait_empty(self) -> None:
        if self.count:
            if self._is_empty is None:
                self._is_empty = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._is_empty)


class BulkReader:
    """Reads of a bulk IN endpoint, which go round a ring of memory.

    So what full reads bring that follow each other is one piece of memory, but for the end of the ring.

    Args:
        count: Number of reads in flight.
        size: Bytes of a read; a multiple of wMaxPacketSize.
    """

    def __init__(self, endpoint: Endpoint, events: PipeEvents, *, count: int, size: int) -> None:
        self._endpoint = endpoint
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._in_flight = _InFlight()
        self._is_running = False
        self._has_stalled = False
        self.deliver: Callable[[list[memoryview]], None] = lambda _pieces: None
        """Whom to give what reads have brought, which is valid during the call; nobody at first."""
        self._ring = memoryview(bytearray(count * size))
        self._begins: dict[Transfer, int] = {}
        for begin in range(0, count * size, size):
            transfer = endpoint.new_transfer(self._ring[begin : begin + size])
            transfer.set_length(size)
            self._begins[transfer] = begin

    @property
    def address(self) -> int:
        """Its number and direction, as in the descriptor."""
        return self._endpoint.address

    def resume(self) -> None:
        """Submit all reads. Nothing may be in flight."""
        self._is_running = True
        for transfer in self._begins:
            if code := transfer.submit():
                self._fail(code)
                return
            self._in_flight.count += 1

    def stop(self) -> None:
        """Cancel all reads and submit none again; what they still bring is not lost."""
        self._is_running = False
        for transfer in self._begins:
            transfer.cancel()

    async def wait_idle(self) -> None:
        """Wait until nothing is in flight."""
        await self._in_flight.wait_empty()

    def close(self) -> None:
        """Free the transfers. Nothing may be in flight."""
        self._endpoint.close()

    def collect(self) -> None:
        """Report what the reads have brought that ended meanwhile, and submit them again."""
        if not self._endpoint.ended:
            return
        ended = self._endpoint.take_ended()
        left = len(ended)
        try:
            if pieces := self._pieces(ended):
                self.deliver(pieces)
        finally:
            for transfer in ended:
                if (status := transfer.fields.status) != _COMPLETED:
                    self._look_into(status)
                elif self._is_running:
                    self._has_stalled = False
                    if code := transfer.submit():
                        self._fail(code)
                    else:
                        left -= 1
            if left:
                self._in_flight.ended(left)

    def _pieces(self, ended: Sequence[Transfer]) -> list[memoryview]:
        pieces: list[memoryview] = []
        begin = end = 0
        for transfer in ended:
            if length := transfer.fields.actual_length:
                place = self._begins[transfer]
                if place != end:
                    if begin < end:
                        pieces.append(self._ring[begin:end])
                    begin = place
                end = place + length
        if begin < end:
            pieces.append(self._ring[begin:end])
        return pieces

    def _look_into(self, status: int) -> None:
        match status:
            case TransferStatus.STALL | TransferStatus.CANCELLED if not self._is_running:
                pass
            case TransferStatus.STALL if not self._has_stalled:
                self._has_stalled = True
                self._events.read_stalled()
            case _:
                self._events.transfer_failed(_transfer_error(status, _READ))

    def _fail(self, code: int) -> None:
        self._is_running = False
        self._loop.call_soon(self._events.transfer_failed, error_from_code(code, _READ))


class BulkWriter:
    """Writes to a bulk OUT endpoint.

    A transfer whose length is a multiple of wMaxPacketSize ends with a zero-length packet: the kernel adds it, or,
    where it cannot, an empty transfer of its own follows and takes a slot too.

    A stall is not healed: what a host controller says of the bytes that went out before it cannot be trusted, and a
    packet sent twice, or not at all, is worse than a phone that is opened anew.

    Args:
        max_packet_size: wMaxPacketSize in bytes.
        slots: Number of writes in flight.
        slot_bytes: While as many bytes are in flight, no slot is free.
    """

    def __init__(
        self, endpoint: Endpoint, events: PipeEvents, *, max_packet_size: int, slots: int, slot_bytes: int
    ) -> None:
        self._endpoint = endpoint
        self._events = events
        self._max_packet_size = max_packet_size
        self._slot_bytes = slot_bytes
        self._loop = asyncio.get_running_loop()
        self._in_flight = _InFlight()
        self._is_running = False
        self._is_refusing = False
        self._slots_per_write = 1
        self._slots = slots
        self._memory = memoryview(mmap(-1, slots * BUFFER_SIZE))
        """Of all slots; what was never used is not there."""
        self._transfers: list[Transfer] = []
        """Made when they are needed, for most phones keep few busy."""
        self._idle: list[Transfer] = []
        """The last one that became free is used first."""
        self._make_transfers()
        self._byte_count = 0
        """Of the writes in flight."""
        self._has_free_slot = False
        """Kept up to date by `_count_slots`: it is asked for several times for each packet."""

    def start(self) -> None:
        """Begin to take packets."""
        self._is_running = True
        self._count_slots()

    def has_free_slot(self) -> bool:
        """Whether `write` may be called now."""
        return self._has_free_slot

    def write(self, packet: bytes) -> None:
        """Send one packet.

        Raises:
            LocalProtocolError: No slot is free.
        """
        if not self._has_free_slot:
            raise LocalProtocolError("the pipe has no free slot")
        transfer, length = self._idle[-1], len(packet)
        transfer.memory[:length] = packet
        transfer.set_length(length)
        self._submit()

    def free_buffer(self) -> memoryview | None:
        """The memory of the free slot that is used next; see `BulkPipe`."""
        return self._idle[-1].memory if self._has_free_slot else None

    def write_buffer(self, length: int) -> None:
        """Send a packet that stands there.

        Raises:
            LocalProtocolError: No slot is free.
        """
        if not self._has_free_slot:
            raise LocalProtocolError("the pipe has no free slot")
        self._idle[-1].set_length(length)
        self._submit()

    def stop(self) -> None:
        """Cancel all writes and take no more."""
        self._is_running = False
        self._count_slots()
        for transfer in self._transfers:
            transfer.cancel()

    def refuse(self) -> None:
        """Take no more, and let what is in flight end."""
        self._is_refusing = True
        self._count_slots()

    async def wait_idle(self) -> None:
        """Wait until nothing is in flight."""
        await self._in_flight.wait_empty()

    def close(self) -> None:
        """Free the transfers. Nothing may be in flight."""
        self._endpoint.close()

    def collect(self) -> None:
        """Look after the writes that have ended meanwhile."""
        if not self._endpoint.ended:
            return
        had_free_slot = self._has_free_slot
        ended = self._endpoint.take_ended()
        for transfer in ended:
            self._byte_count -= transfer.length
            self._idle.append(transfer)
            if (status := transfer.fields.status) != _COMPLETED and self._is_running:
                self._events.transfer_failed(_transfer_error(status, _WRITE))
        self._in_flight.ended(len(ended))
        self._count_slots()
        if not had_free_slot and self._has_free_slot:
            self._events.slot_freed()

    def _count_slots(self) -> None:
        self._has_free_slot = (
            self._byte_count < self._slot_bytes
            and len(self._idle) >= self._slots_per_write
            and self._is_running
            and not self._is_refusing
        )

    def _submit(self) -> None:
        transfer = self._idle.pop()
        code = transfer.submit()
        if code == _NOT_SUPPORTED and self._slots_per_write == 1:
            code = self._submit_without_zero_packet(transfer)
        if code:
            self._fail(error_from_code(code, _WRITE))
        else:
            self._byte_count += transfer.length
            self._in_flight.count += 1
        if len(self._idle) < self._slots_per_write:
            try:
                self._make_transfers()
            except UsbError as error:
                self._fail(error)
        if self._slots_per_write > 1 and self._is_running and self._is_unfinished(transfer.length):
            self._idle[-1].set_length(0)
            self._submit()
        elif self._byte_count >= self._slot_bytes or len(self._idle) < self._slots_per_write or not self._is_running:
            self._has_free_slot = False

    def _is_unfinished(self, length: int) -> bool:
        return length > 0 and length % self._max_packet_size == 0

    def _fail(self, error: UsbError) -> None:
        self._is_running = False
        self._loop.call_soon(self._events.transfer_failed, error)

    def _submit_without_zero_packet(self, transfer: Transfer) -> int:
        self._slots_per_write = 2
        for other in [transfer, *self._idle]:
            other.set_zero_packet(False)
        return transfer.submit()

    def _make_transfers(self) -> None:
        while len(self._idle) < self._slots_per_write and len(self._transfers) < self._slots:
            place = len(self._transfers) * BUFFER_SIZE
            transfer = self._endpoint.new_transfer(self._memory[place : place + BUFFER_SIZE])
            transfer.set_zero_packet(self._slots_per_write == 1)
            self._transfers.append(transfer)
            self._idle.append(transfer)


def _transfer_error(status: int, doing: str) -> UsbError:
    match status:
        case TransferStatus.ERROR | TransferStatus.NO_DEVICE | TransferStatus.CANCELLED:
            return UsbDisconnectedError(f"cannot {doing}: it is gone (transfer status {status})")
        case TransferStatus.STALL:
            return UsbStallError(f"cannot {doing}: the endpoint stalled")
        case _:
            return UsbError(f"cannot {doing}: transfer status {status}")
