"""The bulk transfers of a pipe: reads that are always in flight, and writes in a bounded number of slots.

Completions arrive from the event pump, in the loop's thread. Neither class decides what an error means: it reports
through its `PipeEvents`, and goes on after `resume`.
"""

import asyncio
from typing import Protocol

from usbmux.errors import LocalProtocolError, UsbDisconnectedError, UsbError, UsbStallError
from usbmux.usb._usb1 import Handle, Transfer
from usbmux.usb.binding import TransferStatus, ZeroPacketUnsupportedError, cancel, submit
from usbmux.usb.event_pump import EventPump


class PipeEvents(Protocol):
    """Whom the endpoints tell. Called in the loop's thread, never from inside a call into an endpoint."""

    def data_received(self, data: memoryview) -> None:
        """A read brought something."""

    def slot_freed(self) -> None:
        """A write ended after there was no free slot."""

    def read_stalled(self) -> None:
        """A read ended in a stall, for the first time since one ended well."""

    def transfer_failed(self, error: UsbError) -> None:
        """A transfer ended in an error, or could not be submitted."""


class _InFlight:
    """The transfers that libusb has now."""

    def __init__(self) -> None:
        self._transfers: set[Transfer] = set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def add(self, transfer: Transfer) -> None:
        self._transfers.add(transfer)
        self._is_empty.clear()

    def remove(self, transfer: Transfer) -> None:
        self._transfers.discard(transfer)
        if not self._transfers:
            self._is_empty.set()

    def cancel(self) -> None:
        for transfer in self._transfers:
            cancel(transfer)

    async def wait_empty(self) -> None:
        await self._is_empty.wait()


class BulkReader:
    """Reads of a bulk IN endpoint.

    Args:
        count: Number of reads in flight.
        size: Bytes of a read; a multiple of wMaxPacketSize.
    """

    def __init__(
        self, handle: Handle, pump: EventPump, address: int, events: PipeEvents, *, count: int, size: int
    ) -> None:
        self._address = address
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._in_flight = _InFlight()
        self._is_running = False
        self._has_stalled = False
        self._buffers: dict[Transfer, memoryview] = {}
        for _ in range(count):
            buffer = bytearray(size)
            transfer = handle.getTransfer()
            transfer.setBulk(address, buffer, callback=lambda ended: pump.notify(self._ended, ended))
            self._buffers[transfer] = memoryview(buffer)

    @property
    def address(self) -> int:
        """Its number and direction, as in the descriptor."""
        return self._address

    def resume(self) -> None:
        """Submit all reads. Nothing may be in flight."""
        self._is_running = True
        for transfer in self._buffers:
            self._submit(transfer)

    def stop(self) -> None:
        """Cancel all reads and submit none again; what they still bring is not lost."""
        self._is_running = False
        self._in_flight.cancel()

    async def wait_idle(self) -> None:
        """Wait until nothing is in flight."""
        await self._in_flight.wait_empty()

    def close(self) -> None:
        """Free the transfers. Nothing may be in flight."""
        for transfer in self._buffers:
            transfer.close()
        self._buffers.clear()

    def _submit(self, transfer: Transfer) -> None:
        if not self._is_running:
            return
        try:
            submit(transfer, "read from the phone")
        except UsbError as error:
            self._is_running = False
            self._loop.call_soon(self._events.transfer_failed, error)
        else:
            self._in_flight.add(transfer)

    def _ended(self, transfer: Transfer) -> None:
        self._in_flight.remove(transfer)
        length = transfer.getActualLength()
        status = transfer.getStatus()
        try:
            if length > 0:
                self._events.data_received(self._buffers[transfer][:length])
        finally:
            match status:
                case TransferStatus.COMPLETED:
                    self._has_stalled = False
                    self._submit(transfer)
                case TransferStatus.STALL | TransferStatus.CANCELLED if not self._is_running:
                    pass
                case TransferStatus.STALL if not self._has_stalled:
                    self._has_stalled = True
                    self._events.read_stalled()
                case _:
                    self._events.transfer_failed(_transfer_error(status, "read from the phone"))


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
        self,
        handle: Handle,
        pump: EventPump,
        address: int,
        events: PipeEvents,
        *,
        max_packet_size: int,
        slots: int,
        slot_bytes: int,
    ) -> None:
        self._address = address
        self._pump = pump
        self._events = events
        self._max_packet_size = max_packet_size
        self._slot_bytes = slot_bytes
        self._loop = asyncio.get_running_loop()
        self._in_flight = _InFlight()
        self._is_running = False
        self._is_waited_for = False
        self._is_refusing = False
        self._slots_per_write = 1
        self._idle = [handle.getTransfer(add_zero_packet=True) for _ in range(slots)]
        self._lengths: dict[Transfer, int] = {}
        """Of the writes that were handed over and have not ended."""
        self._byte_count = 0
        """Of all of them."""

    def start(self) -> None:
        """Begin to take packets."""
        self._is_running = True

    def has_free_slot(self) -> bool:
        """Whether `write` may be called now."""
        has_room = len(self._idle) >= self._slots_per_write and self._byte_count < self._slot_bytes
        return has_room and self._is_running and not self._is_refusing

    def write(self, packet: bytes) -> None:
        """Send one packet.

        Raises:
            LocalProtocolError: No slot is free.
        """
        if not self.has_free_slot():
            raise LocalProtocolError("the pipe has no free slot")
        self._submit(packet)
        if self._slots_per_write > 1 and self._is_running and packet and len(packet) % self._max_packet_size == 0:
            self._submit(b"")
        self._is_waited_for = not self.has_free_slot()

    def stop(self) -> None:
        """Cancel all writes and take no more."""
        self._is_running = False
        self._in_flight.cancel()

    def refuse(self) -> None:
        """Take no more, and let what is in flight end."""
        self._is_refusing = True

    async def wait_idle(self) -> None:
        """Wait until nothing is in flight."""
        await self._in_flight.wait_empty()

    def close(self) -> None:
        """Free the transfers. Nothing may be in flight."""
        for transfer in [*self._idle, *self._lengths]:
            transfer.close()
        self._idle.clear()
        self._lengths.clear()

    def _submit(self, payload: bytes) -> None:
        transfer = self._idle.pop()
        self._lengths[transfer] = len(payload)
        self._byte_count += len(payload)
        transfer.setBulk(self._address, payload, callback=self._called_back)
        try:
            self._submit_with_zero_packet(transfer)
        except UsbError as error:
            self._is_running = False
            self._loop.call_soon(self._events.transfer_failed, error)
        else:
            self._in_flight.add(transfer)

    def _submit_with_zero_packet(self, transfer: Transfer) -> None:
        try:
            submit(transfer, "write to the phone")
        except ZeroPacketUnsupportedError:
            if self._slots_per_write > 1:
                raise
            self._slots_per_write = 2
            for other in [transfer, *self._idle]:
                other.setAddZeroPacket(False)
            submit(transfer, "write to the phone")

    def _called_back(self, transfer: Transfer) -> None:
        self._pump.notify(self._ended, transfer)

    def _ended(self, transfer: Transfer) -> None:
        self._in_flight.remove(transfer)
        self._byte_count -= self._lengths.pop(transfer)
        self._idle.append(transfer)
        status = transfer.getStatus()
        if not self._is_running:
            return
        if status != TransferStatus.COMPLETED:
            self._events.transfer_failed(_transfer_error(status, "write to the phone"))
        elif self._is_waited_for and self.has_free_slot():
            self._is_waited_for = False
            self._events.slot_freed()


def _transfer_error(status: int, doing: str) -> UsbError:
    match status:
        case TransferStatus.ERROR | TransferStatus.NO_DEVICE | TransferStatus.CANCELLED:
            return UsbDisconnectedError(f"cannot {doing}: it is gone (transfer status {status})")
        case TransferStatus.STALL:
            return UsbStallError(f"cannot {doing}: the endpoint stalled")
        case _:
            return UsbError(f"cannot {doing}: transfer status {status}")
