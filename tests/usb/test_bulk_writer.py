"""What no kernel can be made to do: platforms without a zero-packet flag, and cancellations that come too late."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.usb.scripted_handle import ScriptedHandle, ScriptedTransfer
from usbmux.errors import UsbDisconnectedError, UsbError, UsbStallError
from usbmux.usb.binding import TransferStatus
from usbmux.usb.bulk import BulkWriter

if TYPE_CHECKING:
    from collections.abc import Callable

usb1 = pytest.importorskip("usb1", reason="the libusb binding is not installed")


class DirectPump:
    """An `EventPump` that acts at once."""

    def start(self) -> None:
        raise NotImplementedError

    def notify(self, action: Callable[..., object], *arguments: object) -> None:
        action(*arguments)

    def timeout_changed(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError


class Events:
    """`PipeEvents` that are kept."""

    def __init__(self) -> None:
        self.slots_freed = 0
        self.errors: list[UsbError] = []

    def data_received(self, data: memoryview) -> None:
        raise NotImplementedError

    def slot_freed(self) -> None:
        self.slots_freed += 1

    def read_stalled(self) -> None:
        raise NotImplementedError

    def transfer_failed(self, error: UsbError) -> None:
        self.errors.append(error)


def running_writer(handle: ScriptedHandle, events: Events, slots: int = 4, slot_bytes: int = 1000) -> BulkWriter:
    writer = BulkWriter(handle, DirectPump(), 0x04, events, max_packet_size=512, slots=slots, slot_bytes=slot_bytes)
    writer.start()
    return writer


def no_zero_packet(transfer: ScriptedTransfer) -> Exception | None:
    return usb1.USBErrorNotSupported() if transfer.adds_zero_packet else None


@pytest.mark.asyncio
async def test_bytes_in_flight_at_the_bound_no_slot_is_free_until_one_write_ends() -> None:
    handle, events = ScriptedHandle(), Events()
    writer = running_writer(handle, events, slot_bytes=1000)

    writer.write(bytes(999))
    assert writer.has_free_slot()
    writer.write(bytes(2000))
    assert not writer.has_free_slot()
    first, second = handle.submitted
    first.end(TransferStatus.COMPLETED)
    assert not writer.has_free_slot()
    assert events.slots_freed == 0
    second.end(TransferStatus.COMPLETED)

    assert writer.has_free_slot()
    assert events.slots_freed == 1


@pytest.mark.asyncio
async def test_flag_supported_no_empty_transfer_follows() -> None:
    handle, events = ScriptedHandle(), Events()
    writer = running_writer(handle, events)

    writer.write(bytes(512))

    assert handle.sent == [bytes(512)]
    assert handle.submitted[0].adds_zero_packet


@pytest.mark.asyncio
async def test_flag_unsupported_empty_transfer_follows_whole_packets_only() -> None:
    handle, events = ScriptedHandle(), Events()
    handle.refuse = no_zero_packet
    writer = running_writer(handle, events)

    writer.write(bytes(512))
    writer.write(b"short")

    assert handle.sent == [bytes(512), b"", b"short"]
    await asyncio.sleep(0)
    assert events.errors == []


@pytest.mark.asyncio
async def test_flag_unsupported_one_slot_left_is_not_enough() -> None:
    handle, events = ScriptedHandle(), Events()
    handle.refuse = no_zero_packet
    writer = running_writer(handle, events)
    writer.write(bytes(512))
    writer.write(b"short")

    assert not writer.has_free_slot()
    handle.submitted[0].end(TransferStatus.COMPLETED)

    assert writer.has_free_slot()
    assert events.slots_freed == 1


@pytest.mark.asyncio
async def test_not_supported_even_without_flag_is_reported_later() -> None:
    handle, events = ScriptedHandle(), Events()
    handle.refuse = lambda _transfer: usb1.USBErrorNotSupported()
    writer = running_writer(handle, events)

    writer.write(b"x")

    assert events.errors == []
    await asyncio.sleep(0)
    assert len(events.errors) == 1


@pytest.mark.asyncio
async def test_stalled_is_an_error_and_nothing_is_sent_again() -> None:
    handle, events = ScriptedHandle(), Events()
    writer = running_writer(handle, events)
    writer.write(b"one")
    writer.write(b"two")

    handle.submitted[0].end(TransferStatus.STALL, 0)

    assert [type(error) for error in events.errors] == [UsbStallError]
    assert handle.sent == [b"two"]


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [TransferStatus.ERROR, TransferStatus.NO_DEVICE, TransferStatus.CANCELLED])
async def test_running_write_ends_without_the_device_is_disconnected(status: TransferStatus) -> None:
    handle, events = ScriptedHandle(), Events()
    writer = running_writer(handle, events)
    writer.write(b"one")

    handle.submitted[0].end(status, 0)

    assert [type(error) for error in events.errors] == [UsbDisconnectedError]


@pytest.mark.asyncio
async def test_stopped_closed_all_transfers_are_freed() -> None:
    handle, events = ScriptedHandle(), Events()
    writer = running_writer(handle, events)
    writer.write(b"one")
    writer.stop()
    handle.submitted[0].end(TransferStatus.CANCELLED, 0)

    writer.close()

    assert all(transfer.is_closed for transfer in handle.transfers)
