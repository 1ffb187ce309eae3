"""Reads that end together, in ways that no kernel can be made to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.usb.scripted_endpoint import ScriptedEndpoint
from usbmux.errors import UsbDisconnectedError, UsbError
from usbmux.usb.binding import TransferStatus
from usbmux.usb.bulk import BulkReader

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT, SIZE = 4, 8


class Events:
    """`PipeEvents` that are kept."""

    def __init__(self) -> None:
        self.received: list[list[bytes]] = []
        self.stalls = 0
        self.errors: list[UsbError] = []
        self.when_received: Callable[[], None] = lambda: None

    def data_received(self, pieces: list[memoryview]) -> None:
        self.received.append([bytes(piece) for piece in pieces])
        self.when_received()

    def slot_freed(self) -> None:
        raise NotImplementedError

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
    reader = BulkReader(endpoint, events, count=COUNT, size=SIZE)
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
