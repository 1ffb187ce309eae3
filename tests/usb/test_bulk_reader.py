"""Reads that end together, in ways that no kernel can be made to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.usb.scripted_endpoint import ScriptedEndpoint
from usbmux.errors import UsbDisconnectedError, UsbError
from usbmux.usb.binding import TransferStatus
from usbmux.usb.bulk_reader import BulkReader
from usbmux.usb.spare_memory import SpareMemory

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT, SIZE = 4, 8
_NO_MEMORY = -11  # LIBUSB_ERROR_NO_MEM


class Events:
    """`PipeEvents` that are kept."""

    def __init__(self) -> None:
        self.received: list[list[bytes]] = []
        self.stalls = self.low = 0
        self.errors: list[UsbError] = []
        self.when_received: Callable[[], None] = lambda: None

    def data_received(self, pieces: list[memoryview]) -> None:
        self.received.append([bytes(piece) for piece in pieces])
        self.when_received()

    def ran_low(self) -> None:
        self.low += 1

    def read_stalled(self) -> None:
        self.stalls += 1

    def transfer_failed(self, error: UsbError) -> None:
        self.errors.append(error)


def end(endpoint: ScriptedEndpoint, *data: bytes, status: int = TransferStatus.COMPLETED) -> None:
    for each in data:
        endpoint.submitted[0].end(status, each)


@pytest.fixture
def endpoint() -> ScriptedEndpoint:
    return ScriptedEndpoint()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest_asyncio.fixture
async def reader(endpoint: ScriptedEndpoint, events: Events) -> BulkReader:
    reader = BulkReader(endpoint, events, SpareMemory(0), count=COUNT, most=COUNT, size=SIZE)
    reader.deliver = events.data_received
    reader.resume()
    return reader


pytestmark = pytest.mark.asyncio


async def test_reads_ended_full_and_in_a_row_are_one_piece(
    reader: BulkReader, endpoint: ScriptedEndpoint, events: Events
) -> None:
    end(endpoint, b"12345678", b"abcdefgh", b"xyz")

    reader.collect()

    assert events.received == [[b"12345678abcdefghxyz"]]
    assert len(endpoint.submitted) == COUNT


async def test_short_and_empty_reads_and_the_end_of_the_ring_part_pieces(
    reader: BulkReader, endpoint: ScriptedEndpoint, events: Events
) -> None:
    end(endpoint, b"1", b"", b"12345678", b"abcdefgh")
    reader.collect()
    end(endpoint, b"12345678")
    reader.collect()

    assert events.received == [[b"1", b"12345678abcdefgh"], [b"12345678"]]


async def test_reads_go_round_in_order(reader: BulkReader, endpoint: ScriptedEndpoint, events: Events) -> None:
    for number in range(3 * COUNT):
        end(endpoint, b"%d" % number)
        reader.collect()

    assert [piece for pieces in events.received for piece in pieces] == [b"%d" % n for n in range(3 * COUNT)]


async def test_half_had_ended_it_is_told_behind_what_they_brought(
    reader: BulkReader, endpoint: ScriptedEndpoint, events: Events
) -> None:
    told: list[int] = []
    events.when_received = lambda: told.append(events.low)

    end(endpoint, *[b"x"] * (COUNT // 2))
    reader.collect()

    assert (told, events.low) == ([0], 1)


async def test_nothing_ended_nothing_is_reported(reader: BulkReader, events: Events) -> None:
    reader.collect()

    assert events.received == []


async def test_receiver_raises_reads_go_on(reader: BulkReader, endpoint: ScriptedEndpoint, events: Events) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    events.when_received = fail
    end(endpoint, b"one", b"two")

    with pytest.raises(ZeroDivisionError):
        reader.collect()

    assert len(endpoint.submitted) == COUNT


async def test_stalled_what_came_before_is_reported_and_the_halt_once(
    reader: BulkReader, endpoint: ScriptedEndpoint, events: Events
) -> None:
    end(endpoint, b"before")
    end(endpoint, b"some", b"", status=TransferStatus.STALL)

    reader.collect()

    assert events.received == [[b"before", b"some"]]
    assert (events.stalls, len(events.errors)) == (1, 1)


async def test_stopped_reads_end_with_data_it_is_reported_and_nothing_is_submitted(
    reader: BulkReader, endpoint: ScriptedEndpoint, events: Events
) -> None:
    reader.stop()
    assert set(endpoint.cancelled) == set(endpoint.submitted)
    end(endpoint, b"last", b"", b"", b"", status=TransferStatus.CANCELLED)

    reader.collect()

    assert events.received == [[b"last"]]
    assert (endpoint.submitted, events.errors) == ([], [])
    await reader.wait_idle()


async def test_device_gone_is_one_error_for_each_read(
    reader: BulkReader, endpoint: ScriptedEndpoint, events: Events
) -> None:
    end(endpoint, b"", status=TransferStatus.NO_DEVICE)

    reader.collect()

    assert [type(error) for error in events.errors] == [UsbDisconnectedError]
    assert len(endpoint.submitted) == COUNT - 1


async def growing_reader(endpoint: ScriptedEndpoint, events: Events, spare: SpareMemory) -> BulkReader:
    reader = BulkReader(endpoint, events, spare, count=4, most=16, size=SIZE)
    reader.deliver = events.data_received
    reader.resume()
    return reader


def end_all(reader: BulkReader, endpoint: ScriptedEndpoint) -> None:
    end(endpoint, *[b"x"] * len(endpoint.submitted))
    reader.collect()


def end_one(reader: BulkReader, endpoint: ScriptedEndpoint) -> None:
    end(endpoint, b"x")
    reader.collect()


async def test_all_reads_have_ended_twice_as_many_are_in_flight_up_to_the_most(
    endpoint: ScriptedEndpoint, events: Events
) -> None:
    reader = await growing_reader(endpoint, events, SpareMemory(100 * SIZE))
    counts = []

    for _ in range(4):
        end_all(reader, endpoint)
        counts.append(len(endpoint.submitted))

    assert counts == [8, 16, 16, 16]
    assert sum(len(pieces) for pieces in events.received) == 4 + 8 + 16 + 16


async def test_more_than_half_of_the_reads_have_not_ended_as_many_stay_in_flight(
    endpoint: ScriptedEndpoint, events: Events
) -> None:
    reader = await growing_reader(endpoint, events, SpareMemory(100 * SIZE))

    end_one(reader, endpoint)
    assert (len(endpoint.submitted), events.low) == (4, 0)

    end(endpoint, b"x", b"x")
    reader.collect()
    assert (len(endpoint.submitted), events.low) == (8, 0)


async def test_all_had_ended_or_there_can_be_no_more_it_is_told(endpoint: ScriptedEndpoint, events: Events) -> None:
    reader = await growing_reader(endpoint, events, SpareMemory(4 * SIZE))

    end_all(reader, endpoint)
    assert (len(endpoint.submitted), events.low) == (8, 1)

    end(endpoint, b"x", b"x", b"x", b"x")
    reader.collect()
    assert (len(endpoint.submitted), events.low) == (8, 2)


async def test_more_reads_bring_everything_in_order(endpoint: ScriptedEndpoint, events: Events) -> None:
    reader = await growing_reader(endpoint, events, SpareMemory(100 * SIZE))
    sent: list[bytes] = []

    for burst in (4, 8, 1, 16, 3, 16, 1, 1, 16):
        data = [b"%03d" % (len(sent) + number) for number in range(burst)]
        end(endpoint, *data)
        sent += data
        reader.collect()

    assert [piece for pieces in events.received for piece in pieces] == sent


async def test_spare_memory_is_lent_out_no_more_reads(endpoint: ScriptedEndpoint, events: Events) -> None:
    spare = SpareMemory(7 * SIZE)
    reader = await growing_reader(endpoint, events, spare)

    end_all(reader, endpoint)
    end_all(reader, endpoint)

    assert len(endpoint.submitted) == 4 + 7
    assert not spare.borrow(1)


async def test_kernel_has_no_memory_for_another_read_the_others_go_on(
    endpoint: ScriptedEndpoint, events: Events
) -> None:
    spare = SpareMemory(2 * SIZE)
    reader = await growing_reader(endpoint, events, spare)
    endpoint.refuse = lambda _transfer: _NO_MEMORY if len(endpoint.submitted) == 5 else 0

    end_all(reader, endpoint)

    assert len(endpoint.submitted) == 5
    assert spare.borrow(SIZE)
    assert events.errors == []


async def test_no_memory_for_another_transfer_the_others_go_on(endpoint: ScriptedEndpoint, events: Events) -> None:
    spare = SpareMemory(2 * SIZE)
    reader = await growing_reader(endpoint, events, spare)
    endpoint.most = 5

    end_all(reader, endpoint)

    assert len(endpoint.submitted) == 5
    assert spare.borrow(SIZE)


async def test_most_reads_have_had_nothing_to_do_for_a_while_half_of_them_rest_and_come_back(
    endpoint: ScriptedEndpoint, events: Events
) -> None:
    spare = SpareMemory(12 * SIZE)
    reader = await growing_reader(endpoint, events, spare)
    end_all(reader, endpoint)
    end_all(reader, endpoint)

    for _ in range(64 + 8):
        end_one(reader, endpoint)
    assert len(endpoint.submitted) == 8
    assert spare.borrow(8 * SIZE)
    spare.give_back(8 * SIZE)
    for _ in range(64 * 4):
        end_one(reader, endpoint)
    assert len(endpoint.submitted) == 4
    end_all(reader, endpoint)
    end_all(reader, endpoint)

    assert len(endpoint.submitted) == 16
    assert endpoint.made == 16
    assert not spare.borrow(1)


async def test_stalled_with_some_reads_at_rest_those_stay_so(endpoint: ScriptedEndpoint, events: Events) -> None:
    reader = await growing_reader(endpoint, events, SpareMemory(4 * SIZE))
    end_all(reader, endpoint)
    for _ in range(64 * 4):
        end_one(reader, endpoint)
    reader.stop()
    for transfer in list(endpoint.submitted):
        transfer.end(TransferStatus.CANCELLED, b"")
    reader.collect()
    await reader.wait_idle()

    reader.resume()

    assert len(endpoint.submitted) == 4


async def test_closed_what_was_borrowed_is_given_back(endpoint: ScriptedEndpoint, events: Events) -> None:
    spare = SpareMemory(12 * SIZE)
    reader = await growing_reader(endpoint, events, spare)
    end_all(reader, endpoint)
    end_all(reader, endpoint)
    reader.stop()
    for transfer in list(endpoint.submitted):
        transfer.end(TransferStatus.CANCELLED, b"")
    reader.collect()

    reader.close()

    assert spare.borrow(12 * SIZE)
