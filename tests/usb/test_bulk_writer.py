"""What no kernel can be made to do: platforms without a zero-packet flag, and cancellations that come too late."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest

from tests.usb.scripted_endpoint import ScriptedEndpoint, ScriptedTransfer
from usbmux.errors import LocalProtocolError, UsbDisconnectedError, UsbError, UsbStallError
from usbmux.usb.binding import ErrorCode, TransferStatus
from usbmux.usb.bulk_writer import BulkWriter
from usbmux.usb.pipe import BUFFER_SIZE
from usbmux.usb.spare_memory import SpareMemory
from usbmux.usb.write_limit import WriteLimit

if TYPE_CHECKING:
    from collections.abc import Callable


class Events:
    """`PipeEvents` that are kept."""

    def __init__(self) -> None:
        self.errors: list[UsbError] = []

    def ran_low(self) -> None:
        raise NotImplementedError

    def read_stalled(self) -> None:
        raise NotImplementedError

    def transfer_failed(self, error: UsbError) -> None:
        self.errors.append(error)


def running_writer(
    endpoint: ScriptedEndpoint, events: Events, slots: int = 4, limit: WriteLimit | None = None
) -> BulkWriter:
    limit = limit or WriteLimit(SpareMemory(0), least=1000, most=1000, step=0)
    writer = BulkWriter(endpoint, events, limit, max_packet_size=512, slots=slots)
    writer.start()
    return writer


def no_zero_packet(transfer: ScriptedTransfer) -> int:
    return ErrorCode.NOT_SUPPORTED if transfer.adds_zero_packet else 0


@pytest.mark.asyncio
async def test_bytes_in_flight_at_the_bound_no_slot_is_free_until_one_write_ends() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    writer = running_writer(endpoint, events)

    writer.write(bytes(999))
    assert writer.has_free_slot()
    writer.write(bytes(2000))
    assert not writer.has_free_slot()
    first, second = endpoint.submitted
    first.end(TransferStatus.COMPLETED)
    assert not writer.collect()
    assert not writer.has_free_slot()
    second.end(TransferStatus.COMPLETED)

    assert writer.collect()
    assert writer.has_free_slot()
    assert not writer.collect()
    writer.write(b"there was a slot all the time")
    endpoint.submitted[0].end(TransferStatus.COMPLETED)
    assert not writer.collect()


@pytest.mark.asyncio
async def test_transfers_are_made_when_as_many_are_busy_and_used_again() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    writer = running_writer(endpoint, events, slots=3)
    for _ in range(5):
        writer.write(b"one at a time")
        endpoint.submitted[0].end(TransferStatus.COMPLETED)
        writer.collect()
    assert endpoint.made == 2

    for _ in range(3):
        writer.write(b"all at once")

    assert endpoint.made == 3
    assert not writer.has_free_slot()
    with pytest.raises(LocalProtocolError, match="no free slot"):
        writer.write(b"too much")
    with pytest.raises(LocalProtocolError, match="no free slot"):
        writer.write_buffer(8)


@pytest.mark.asyncio
async def test_slot_is_free_what_stands_in_its_buffer_goes_out() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    writer = running_writer(endpoint, events)
    for packet in (b"first", b"the second"):
        buffer = writer.free_buffer()
        assert buffer is not None
        assert len(buffer) == BUFFER_SIZE
        buffer[: len(packet)] = packet
        writer.write_buffer(len(packet))

    assert endpoint.sent == [b"first", b"the second"]
    assert writer.drain.in_flight == 15


@pytest.mark.asyncio
@pytest.mark.parametrize("is_stopped", [True, False], ids=["stopped", "refusing"])
async def test_no_more_is_wanted_no_slot_is_free_and_what_is_in_flight_is_waited_for(is_stopped: bool) -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    writer = running_writer(endpoint, events)
    writer.write(b"one")
    writer.write(b"two")

    (writer.stop if is_stopped else writer.refuse)()

    assert set(endpoint.cancelled) >= (set(endpoint.submitted) if is_stopped else set())
    assert bool(endpoint.cancelled) == is_stopped
    waiting = asyncio.ensure_future(writer.wait_idle())
    for _ in range(2):
        assert not writer.has_free_slot()
        await asyncio.sleep(0)  # a turn of the loop, for whoever waits
        assert not waiting.done()
        endpoint.submitted[0].end(TransferStatus.CANCELLED if is_stopped else TransferStatus.COMPLETED)
        assert not writer.collect()
    assert not writer.has_free_slot()
    await waiting
    assert events.errors == []


@pytest.mark.asyncio
@pytest.mark.parametrize("refuse", [lambda _transfer: 0, no_zero_packet])
async def test_no_memory_for_another_transfer_what_was_written_goes_out_and_the_pipe_fails(
    refuse: Callable[[ScriptedTransfer], int],
) -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    endpoint.most, endpoint.refuse = 1, refuse
    writer = running_writer(endpoint, events)

    writer.write(b"the last")

    assert endpoint.sent == [b"the last"]
    assert not writer.has_free_slot()
    assert writer.free_buffer() is None
    await asyncio.sleep(0)
    assert [str(error) for error in events.errors] == ["cannot make a transfer: out of memory"]


@pytest.mark.asyncio
async def test_flag_supported_no_empty_transfer_follows() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    writer = running_writer(endpoint, events)

    writer.write(bytes(512))

    assert endpoint.sent == [bytes(512)]
    assert endpoint.submitted[0].adds_zero_packet


@pytest.mark.asyncio
async def test_flag_unsupported_empty_transfer_follows_whole_packets_only() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    endpoint.refuse = no_zero_packet
    writer = running_writer(endpoint, events)

    writer.write(bytes(512))
    writer.write(b"short")

    assert endpoint.sent == [bytes(512), b"", b"short"]
    await asyncio.sleep(0)
    assert events.errors == []


@pytest.mark.asyncio
async def test_flag_unsupported_slots_were_used_before_what_follows_is_empty() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    endpoint.refuse = no_zero_packet
    writer = running_writer(endpoint, events, slots=2)
    for packet in (bytes(512), bytes(1024)):
        writer.write(packet)
        assert endpoint.sent == [packet, b""]
        for _ in range(2):
            assert not writer.has_free_slot()
            endpoint.submitted[0].end(TransferStatus.COMPLETED)
            writer.collect()
        assert writer.has_free_slot()
    writer.write(b"short")
    assert endpoint.sent == [b"short"]


@pytest.mark.asyncio
async def test_flag_unsupported_and_the_device_gone_nothing_follows() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    endpoint.refuse = lambda transfer: no_zero_packet(transfer) or (ErrorCode.NO_DEVICE if transfer.length else 0)
    writer = running_writer(endpoint, events)

    writer.write(bytes(512))

    assert (endpoint.sent, writer.has_free_slot()) == ([], False)
    await asyncio.sleep(0)
    assert [type(error) for error in events.errors] == [UsbDisconnectedError]


@pytest.mark.asyncio
async def test_flag_unsupported_one_slot_left_is_not_enough() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    endpoint.refuse = no_zero_packet
    writer = running_writer(endpoint, events)
    writer.write(bytes(512))
    writer.write(b"short")

    assert not writer.has_free_slot()
    endpoint.submitted[0].end(TransferStatus.COMPLETED)

    assert writer.collect()
    assert writer.has_free_slot()


@pytest.mark.asyncio
async def test_not_supported_even_without_flag_is_reported_later() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    endpoint.refuse = lambda _transfer: ErrorCode.NOT_SUPPORTED
    writer = running_writer(endpoint, events)

    writer.write(b"x")

    assert events.errors == []
    await asyncio.sleep(0)
    assert len(events.errors) == 1


@pytest.mark.asyncio
async def test_stalled_is_an_error_and_nothing_is_sent_again() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    writer = running_writer(endpoint, events)
    writer.write(b"one")
    writer.write(b"two")

    endpoint.submitted[0].end(TransferStatus.STALL)
    writer.collect()

    assert not writer.has_free_slot()
    await asyncio.sleep(0)
    assert [type(error) for error in events.errors] == [UsbStallError]
    assert endpoint.sent == [b"two"]


@pytest.mark.asyncio
async def test_running_writes_fail_together_is_reported_once_and_only_later() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    writer = running_writer(endpoint, events)
    writer.write(b"one")
    writer.write(b"two")
    for transfer in list(endpoint.submitted):
        transfer.end(TransferStatus.NO_DEVICE)

    assert not writer.collect()

    assert events.errors == []
    await asyncio.sleep(0)
    assert len(events.errors) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [TransferStatus.ERROR, TransferStatus.NO_DEVICE, TransferStatus.CANCELLED])
async def test_running_write_ends_without_the_device_is_disconnected(status: TransferStatus) -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    writer = running_writer(endpoint, events)
    writer.write(b"one")

    endpoint.submitted[0].end(status)
    writer.collect()
    await asyncio.sleep(0)

    assert [type(error) for error in events.errors] == [UsbDisconnectedError]


@pytest.mark.asyncio
async def test_stopped_closed_endpoint_is_closed_and_what_was_borrowed_is_given_back() -> None:
    endpoint, events, spare = ScriptedEndpoint(), Events(), SpareMemory(500)
    limit = WriteLimit(spare, least=1000, most=1500, step=500)
    writer = running_writer(endpoint, events, limit=limit)
    writer.write(bytes(1000))
    endpoint.submitted[0].end(TransferStatus.COMPLETED)
    writer.collect()
    assert not spare.borrow(1)
    writer.stop()

    writer.close()

    assert endpoint.is_closed
    assert spare.borrow(500)


@pytest.mark.asyncio
async def test_endpoint_ran_low_at_the_bound_more_may_be_in_flight() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    limit = WriteLimit(SpareMemory(500), least=1000, most=1500, step=500)
    writer = running_writer(endpoint, events, limit=limit)
    writer.write(bytes(1000))
    assert not writer.has_free_slot()

    endpoint.submitted[0].end(TransferStatus.COMPLETED)
    writer.collect()
    writer.write(bytes(1000))

    assert writer.has_free_slot()


@pytest.mark.asyncio
async def test_endpoint_ran_low_below_the_bound_the_bound_stays() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    limit = WriteLimit(SpareMemory(500), least=1000, most=1500, step=500)
    writer = running_writer(endpoint, events, limit=limit)

    writer.write(bytes(999))
    endpoint.submitted[0].end(TransferStatus.COMPLETED)
    writer.collect()

    assert limit.bytes == 1000


@pytest.mark.asyncio
async def test_rate_is_known_what_is_gone_does_not_count_until_there_is_nothing_to_do() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    limit = WriteLimit(SpareMemory(2000), least=1000, most=1500, step=500)
    writer = running_writer(endpoint, events, limit=limit)
    writer.drain.want(True)
    writer.drain.rate = 1e9  # whatever it does, it should have done more
    for _ in range(2):
        writer.write(bytes(700))
    assert not writer.has_free_slot()
    for _ in range(2):
        endpoint.submitted[0].end(TransferStatus.COMPLETED)
        writer.collect()
        writer.drain.awaited_since = math.inf
        writer.write(bytes(700))
    assert limit.bytes == 1500

    writer.write(bytes(700))

    assert (writer.drain.in_flight, writer.drain.gone) == (2100, 699)
    assert writer.has_free_slot()
    for _ in range(3):
        endpoint.submitted[0].end(TransferStatus.COMPLETED)
    writer.collect()
    assert limit.bytes == 1000


@pytest.mark.asyncio
async def test_nobody_wants_to_know_how_fast_it_is_the_limit_does_not_follow_any_more() -> None:
    endpoint, events = ScriptedEndpoint(), Events()
    limit = WriteLimit(SpareMemory(2000), least=1000, most=1500, step=500)
    writer = running_writer(endpoint, events, limit=limit)
    writer.drain.want(True)
    writer.drain.rate = 1e9
    for _ in range(2):
        writer.write(bytes(700))
    endpoint.submitted[0].end(TransferStatus.COMPLETED)
    writer.collect()
    assert limit.bytes == 1500

    writer.drain.want(False)
    writer.write(bytes(700))
    endpoint.submitted[0].end(TransferStatus.COMPLETED)
    writer.collect()

    assert limit.bytes == 1000
