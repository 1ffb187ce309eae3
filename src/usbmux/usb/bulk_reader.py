"""Reads of a bulk IN endpoint, always in flight."""

import asyncio
from collections.abc import Callable, Sequence
from mmap import mmap
from typing import Final

from usbmux.errors import UsbError
from usbmux.usb.binding import TransferStatus, error_from_code
from usbmux.usb.bulk import COMPLETED, Endpoint, InFlight, PipeEvents, Transfer, transfer_error
from usbmux.usb.spare_memory import SpareMemory

_READ: Final = "read from the phone"
_LOOKS: Final = 64


class BulkReader:
    """Reads of a bulk IN endpoint, which go round a ring of memory.

    So what full reads bring that follow each other is one piece of memory, but for the end of the ring.

    If half of the reads or more have ended when somebody looks, the phone has waited for us or soon would: more of them
    are kept in flight from then on, as long as there is memory to borrow. Half of them go again when most have had
    nothing to do for a while.

    Args:
        count: Number of reads in flight at least.
        most: Number of reads in flight at most.
        size: Bytes of a read; a multiple of wMaxPacketSize.
        spare: Where to borrow the memory of more than `count`.
    """

    def __init__(
        self, endpoint: Endpoint, events: PipeEvents, spare: SpareMemory, *, count: int, most: int, size: int
    ) -> None:
        self._endpoint = endpoint
        self._events = events
        self._spare = spare
        self._least = count
        self._most = most
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._in_flight = InFlight()
        self._is_running = False
        self._has_stalled = False
        self.deliver: Callable[[list[memoryview]], None] = lambda _pieces: None
        """Whom to give what reads have brought, which is valid during the call; nobody at first."""
        self._ring = memoryview(mmap(-1, most * size))  # what was never used is not there
        self._begins: dict[Transfer, int] = {}
        self._resting: list[Transfer] = []
        """Those that were more than were needed."""
        self._looks = self._busiest = self._surplus = 0
        """How often it was looked, how many had ended at most, and how many are to rest as soon as they end."""
        for _ in range(count):
            self._make_transfer()

    @property
    def address(self) -> int:
        """Its number and direction, as in the descriptor."""
        return self._endpoint.address

    def resume(self) -> None:
        """Submit all reads. Nothing may be in flight."""
        self._is_running = True
        for transfer in self._begins:
            if transfer in self._resting:
                continue
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
        self._spare.give_back((len(self._begins) - len(self._resting) - self._least) * self._size)
        self._endpoint.close()

    def collect(self) -> None:
        """Report what the reads have brought that ended meanwhile, and submit them again."""
        if not self._endpoint.ended:
            return
        ended = self._endpoint.take_ended()
        left = count = len(ended)
        is_low = 2 * count >= self._in_flight.count
        try:
            if pieces := self._pieces(ended):
                self.deliver(pieces)
        finally:
            for transfer in ended:
                if (status := transfer.fields.status) != COMPLETED:
                    self._look_into(status)
                elif self._is_running:
                    self._has_stalled = False
                    if self._surplus:
                        self._rest(transfer)
                    elif code := transfer.submit():
                        self._fail(code)
                    else:
                        left -= 1
            if left:
                self._in_flight.ended(left)
        if is_low:
            self._add_reads(count)
        elif self._in_flight.count > self._least:
            self._look_for_surplus(count)

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

    def _make_transfer(self) -> Transfer:
        begin = len(self._begins) * self._size
        transfer = self._endpoint.new_transfer(self._ring[begin : begin + self._size])
        transfer.set_length(self._size)
        self._begins[transfer] = begin
        return transfer

    def _add_reads(self, ended: int) -> None:
        """Keep twice as many in flight, if there is memory."""
        before = self._in_flight.count
        self._looks = self._busiest = self._surplus = 0
        wanted = min(before, self._most - before)
        while wanted > 0 and self._is_running and self._spare.borrow(self._size):
            if not self._has_submitted_another():
                self._spare.give_back(self._size)
                break
            wanted -= 1
        if ended >= before or self._in_flight.count == before:
            self._events.ran_low()

    def _has_submitted_another(self) -> bool:
        """False if there is no memory for it. If something else is wrong, the others will tell."""
        try:
            transfer = self._resting.pop() if self._resting else self._make_transfer()
        except UsbError:
            return False
        if transfer.submit():
            self._resting.append(transfer)
            return False
        self._in_flight.count += 1
        return True

    def _look_for_surplus(self, count: int) -> None:
        self._busiest = max(self._busiest, count)
        self._looks += 1
        if self._looks == _LOOKS:
            in_flight = self._in_flight.count
            if self._busiest <= in_flight // 4:
                self._surplus = min(in_flight // 2, in_flight - self._least)
            self._looks = self._busiest = 0

    def _rest(self, transfer: Transfer) -> None:
        self._surplus -= 1
        self._resting.append(transfer)
        self._spare.give_back(self._size)

    def _look_into(self, status: int) -> None:
        match status:
            case TransferStatus.STALL | TransferStatus.CANCELLED if not self._is_running:
                pass
            case TransferStatus.STALL if not self._has_stalled:
                self._has_stalled = True
                self._events.read_stalled()
            case _:
                self._events.transfer_failed(transfer_error(status, _READ))

    def _fail(self, code: int) -> None:
        self._is_running = False
        self._loop.call_soon(self._events.transfer_failed, error_from_code(code, _READ))
