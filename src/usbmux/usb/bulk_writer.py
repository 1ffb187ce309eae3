"""Writes to a bulk OUT endpoint, in a bounded number of slots."""

import asyncio
from mmap import mmap
from typing import Final

from usbmux.errors import LocalProtocolError, UsbError
from usbmux.usb.binding import ErrorCode, error_from_code
from usbmux.usb.bulk import COMPLETED, Endpoint, InFlight, PipeEvents, Transfer, transfer_error
from usbmux.usb.pipe import BUFFER_SIZE
from usbmux.usb.write_limit import WriteLimit

_WRITE: Final = "write to the phone"
_NOT_SUPPORTED: Final = int(ErrorCode.NOT_SUPPORTED)  # a plain number, as COMPLETED is


class BulkWriter:
    """Writes to a bulk OUT endpoint.

    A transfer whose length is a multiple of wMaxPacketSize ends with a zero-length packet: the kernel adds it, or,
    where it cannot, an empty transfer of its own follows and takes a slot too.

    A stall is not healed: what a host controller says of the bytes that went out before it cannot be trusted, and a
    packet sent twice, or not at all, is worse than a phone that is opened anew.

    Args:
        max_packet_size: wMaxPacketSize in bytes.
        slots: Number of writes in flight.
        limit: While as many bytes are in flight, no slot is free.
    """

    def __init__(
        self, endpoint: Endpoint, events: PipeEvents, limit: WriteLimit, *, max_packet_size: int, slots: int
    ) -> None:
        self._endpoint = endpoint
        self._events = events
        self._max_packet_size = max_packet_size
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._in_flight = InFlight()
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
        self.drain: Final = limit.drain
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
        self._limit.close()
        self._endpoint.close()

    def collect(self) -> bool:
        """Look after the writes that have ended meanwhile.

        Returns:
            Whether a slot is free again after there was none.
        """
        if not self._endpoint.ended:
            return False
        had_free_slot = self._has_free_slot
        ended = self._endpoint.take_ended()
        count = 0
        for transfer in ended:
            count += transfer.length
            self._idle.append(transfer)
            if (status := transfer.fields.status) != COMPLETED and self._is_running:
                self._fail(transfer_error(status, _WRITE))
        self._in_flight.ended(len(ended))
        self._limit.ended(count, was_full=not had_free_slot)
        self._count_slots()
        return not had_free_slot and self._has_free_slot

    def _count_slots(self) -> None:
        self._has_free_slot = (
            not self._limit.is_reached()
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
            self.drain.in_flight += transfer.length
            self._in_flight.count += 1
        if len(self._idle) < self._slots_per_write:
            try:
                self._make_transfers()
            except UsbError as error:
                self._fail(error)
        if self._slots_per_write > 1 and self._is_running and self._is_unfinished(transfer.length):
            self._idle[-1].set_length(0)
            self._submit()
        elif self._limit.is_reached() or len(self._idle) < self._slots_per_write or not self._is_running:
            self._has_free_slot = False

    def _is_unfinished(self, length: int) -> bool:
        return length > 0 and length % self._max_packet_size == 0

    def _fail(self, error: UsbError) -> None:
        # Later: what the reads have brought that ended together with a write is passed on before the pipe is lost.
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
