"""Reads that end together, in ways that no kernel can be made to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.usb.reads import SIZE, Events, end, growing_reader, stop
from usbmux.errors import UsbDisconnectedError
from usbmux.usb.binding import ErrorCode, TransferStatus
from usbmux.usb.bulk_reader import BulkReader
from usbmux.usb.spare_memory import SpareMemory

if TYPE_CHECKING:
    from tests.usb.scripted_endpoint import ScriptedEndpoint

COUNT = 4


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


async def test_nothing_ended_or_came_nothing_is_reported(
    reader: BulkReader, endpoint: ScriptedEndpoint, events: Events
) -> None:
    reader.collect()
    end(endpoint, b"", b"")
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


@pytest.mark.parametrize("status", [TransferStatus.CANCELLED, TransferStatus.COMPLETED])
async def test_stopped_reads_end_with_data_it_is_reported_and_nothing_is_submitted(
    endpoint: ScriptedEndpoint, events: Events, status: TransferStatus
) -> None:
    reader = await growing_reader(endpoint, events, SpareMemory(100 * SIZE))
    reader.stop()
    assert set(endpoint.cancelled) == set(endpoint.submitted)
    waiting = asyncio.ensure_future(reader.wait_idle())
    end(endpoint, b"last", b"", status=status)

    reader.collect()

    assert events.received == [[b"last"]]
    assert (len(endpoint.submitted), events.errors) == (2, [])
    await asyncio.sleep(0)  # a turn of the loop, for whoever waits
    assert not waiting.done()
    end(endpoint, b"", b"", status=TransferStatus.CANCELLED)
    reader.collect()
    assert (endpoint.submitted, events.errors) == ([], [])
    await waiting


async def test_stalled_again_after_reads_were_well_the_halt_is_told_again(
    reader: BulkReader, endpoint: ScriptedEndpoint, events: Events
) -> None:
    for _ in range(2):
        end(endpoint, b"", status=TransferStatus.STALL)
        reader.collect()
        stop(reader, endpoint)
        reader.resume()
        end(endpoint, b"well")
        reader.collect()

    assert (events.stalls, events.errors) == (2, [])
    assert len(endpoint.submitted) == COUNT


@pytest.mark.parametrize("is_first", [True, False], ids=["the first time", "again"])
async def test_read_cannot_be_submitted_it_is_told_later_and_once(
    endpoint: ScriptedEndpoint, events: Events, is_first: bool
) -> None:
    gone = [is_first]
    endpoint.refuse = lambda _transfer: ErrorCode.NO_DEVICE if gone[0] else 0
    reader = await growing_reader(endpoint, events, SpareMemory(0))
    if not is_first:
        gone[0] = True
        end(endpoint, b"one", b"two")
        reader.collect()
        assert events.received == [[b"one", b"two"]]

    assert events.errors == []
    await asyncio.sleep(0)  # a turn of the loop
    assert [type(error) for error in events.errors] == [UsbDisconnectedError]
    assert len(endpoint.submitted) == (0 if is_first else 2)


async def test_device_gone_is_one_error_for_each_read(
    reader: BulkReader, endpoint: ScriptedEndpoint, events: Events
) -> None:
    end(endpoint, b"", status=TransferStatus.NO_DEVICE)

    reader.collect()

    assert [type(error) for error in events.errors] == [UsbDisconnectedError]
    assert len(endpoint.submitted) == COUNT - 1
