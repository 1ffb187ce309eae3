"""How many reads are in flight, by how much they have to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.usb.reads import SIZE, Events, end, end_all, end_one, growing_reader, stop
from usbmux.usb.spare_memory import SpareMemory

if TYPE_CHECKING:
    from tests.usb.scripted_endpoint import ScriptedEndpoint

_NO_MEMORY = -11  # LIBUSB_ERROR_NO_MEM


pytestmark = pytest.mark.asyncio


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

    for ended in (2, 3):
        end(endpoint, *[b"x"] * ended)
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

    for _ in range(20):
        end_all(reader, endpoint)

    assert len(endpoint.submitted) == 5
    assert endpoint.made == 6
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

    for _ in range(64 + 8 + 8):
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


@pytest.mark.parametrize(("busiest", "left"), [(4, 8), (5, 16)])
async def test_more_than_a_quarter_had_something_to_do_once_none_of_them_rests(
    endpoint: ScriptedEndpoint, events: Events, busiest: int, left: int
) -> None:
    reader = await growing_reader(endpoint, events, SpareMemory(12 * SIZE))
    end_all(reader, endpoint)
    end_all(reader, endpoint)
    end(endpoint, *[b"x"] * busiest)
    reader.collect()

    for _ in range(63 + 8):
        end_one(reader, endpoint)

    assert len(endpoint.submitted) == left


async def test_one_read_more_than_the_least_only_that_one_rests(endpoint: ScriptedEndpoint, events: Events) -> None:
    spare = SpareMemory(SIZE)
    reader = await growing_reader(endpoint, events, spare)
    end_all(reader, endpoint)
    assert len(endpoint.submitted) == 5

    for _ in range(2 * 64):
        reader.collect()  # nobody has looked at anything
        end_one(reader, endpoint)

    assert len(endpoint.submitted) == 4
    assert spare.borrow(SIZE)
    spare.give_back(SIZE)
    stop(reader, endpoint)
    reader.close()
    assert endpoint.is_closed
    assert not spare.borrow(SIZE + 1)


async def test_stalled_with_some_reads_at_rest_those_stay_so(endpoint: ScriptedEndpoint, events: Events) -> None:
    reader = await growing_reader(endpoint, events, SpareMemory(4 * SIZE))
    end_all(reader, endpoint)
    for _ in range(64 * 4):
        end_one(reader, endpoint)
    stop(reader, endpoint)
    await reader.wait_idle()

    reader.resume()

    assert len(endpoint.submitted) == 4


async def test_closed_what_was_borrowed_is_given_back(endpoint: ScriptedEndpoint, events: Events) -> None:
    spare = SpareMemory(12 * SIZE)
    reader = await growing_reader(endpoint, events, spare)
    end_all(reader, endpoint)
    end_all(reader, endpoint)
    stop(reader, endpoint)

    reader.close()

    assert spare.borrow(12 * SIZE)
