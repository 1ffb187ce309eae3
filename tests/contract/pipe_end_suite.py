"""What every pipe promises (`BulkPipe`, `PipeReceiver`) about its end and about errors, run against each of them.

Imported as a whole by modules that have a fixture `rig`.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from tests.contract.bus_subjects import (
    Phone,
    Receiver,
    Rig,
    collected_exceptions,
    fill,
    finish,
    opened,
    started,
    turns,
    until_length,
)
from tests.usb.usbfs.subjects import until
from usbmux.errors import LocalProtocolError, UsbDisconnectedError


@pytest.mark.asyncio
async def test_started_unplugged_is_lost_once_and_last(rig: Rig) -> None:
    phone = Phone()
    pipe, receiver = await started(rig, phone)

    rig.unplug(phone)

    await until(lambda: bool(receiver.losses))
    assert isinstance(receiver.losses[0], UsbDisconnectedError)
    with pytest.raises(LocalProtocolError):
        receiver.write(b"late")
    await finish(pipe, receiver)


@pytest.mark.asyncio
@pytest.mark.parametrize("delay_turns", [0, 1, 2, 3, 5, 10, 30])
async def test_started_unplugged_with_transfers_in_flight_is_lost_once_and_last(delay_turns: int, rig: Rig) -> None:
    phone = Phone(is_echo=True)
    pipe, receiver = await started(rig, phone)
    phone.send(*[random.Random(number).randbytes(40000) for number in range(20)])
    fill(receiver)
    await turns(delay_turns)

    rig.unplug(phone)

    await until(lambda: bool(receiver.losses))
    assert isinstance(receiver.losses[0], UsbDisconnectedError)
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_started_unplugged_from_inside_data_received_is_lost_once_and_last(rig: Rig) -> None:
    phone = Phone()
    pipe, receiver = await started(rig, phone)
    receiver.when_received = lambda: rig.unplug(phone)

    phone.send(b"hello")

    await until(lambda: bool(receiver.losses))
    assert isinstance(receiver.losses[0], UsbDisconnectedError)
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_started_closed_receiver_hears_none_and_nothing_more(rig: Rig) -> None:
    phone = Phone()
    pipe, receiver = await started(rig, phone)
    await receiver.write_when_free(b"last")

    await finish(pipe, receiver)

    assert receiver.losses == [None]
    assert not pipe.has_free_slot()
    with pytest.raises(LocalProtocolError):
        receiver.write(b"late")
    phone.send(b"late")
    await turns()
    assert receiver.calls[-1] == "pipe_lost"


@pytest.mark.asyncio
async def test_started_closed_what_was_written_goes_out_first(rig: Rig) -> None:
    phone = Phone()
    pipe, receiver = await started(rig, phone)
    count = fill(receiver)

    await pipe.close()

    assert phone.transfers == [bytes([number]) * 100 for number in range(count)]
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_closing_nothing_more_can_be_written(rig: Rig) -> None:
    pipe, receiver = await started(rig, Phone())
    closing = asyncio.ensure_future(pipe.close())
    await turns(1)

    assert not pipe.has_free_slot()
    with pytest.raises(LocalProtocolError):
        receiver.write(b"late")

    await closing
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_started_closed_several_times_at_once_each_waits_for_the_end(rig: Rig) -> None:
    phone = Phone()
    candidate, pipe = await opened(rig, phone)
    receiver = Receiver(pipe)
    receiver.start()
    fill(receiver)

    async def close() -> list[str]:
        await pipe.close()
        return list(receiver.calls)

    calls = await asyncio.gather(*(close() for _ in range(3)))

    assert [each[-1] for each in calls] == ["pipe_lost"] * 3
    assert receiver.losses == [None]
    await (await candidate.open()).close()
    await finish(pipe, receiver)


@pytest.mark.asyncio
@pytest.mark.parametrize("delay_turns", [1, 2, 5])
async def test_closing_cancelled_is_closed_to_the_end(delay_turns: int, rig: Rig) -> None:
    candidate, pipe = await opened(rig, Phone())
    receiver = Receiver(pipe)
    receiver.start()
    closing = asyncio.ensure_future(pipe.close())
    await turns(delay_turns)

    closing.cancel()
    with suppress(asyncio.CancelledError):
        await closing

    await until(lambda: receiver.losses == [None])
    await finish(pipe, receiver)
    await (await candidate.open()).close()


@pytest.mark.asyncio
async def test_opened_never_started_closed_can_be_opened_again(rig: Rig) -> None:
    candidate, pipe = await opened(rig, Phone())

    await asyncio.gather(pipe.close(), pipe.close())
    await pipe.close()

    await (await candidate.open()).close()


@pytest.mark.asyncio
@pytest.mark.parametrize("delay_turns", [0, 1, 2, 5, 20])
async def test_unplugged_and_closed_at_once_is_lost_once(delay_turns: int, rig: Rig) -> None:
    phone = Phone(is_echo=True)
    pipe, receiver = await started(rig, phone)
    fill(receiver)
    await turns()

    rig.unplug(phone)
    await turns(delay_turns)

    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_closing_unplugged_is_lost_once(rig: Rig) -> None:
    phone = Phone(is_echo=True)
    pipe, receiver = await started(rig, phone)
    fill(receiver)
    closing = asyncio.ensure_future(pipe.close())
    await turns(1)

    rig.unplug(phone)

    await closing
    await finish(pipe, receiver)


@pytest.mark.asyncio
@pytest.mark.parametrize("moment", ["when_received", "when_freed", "when_lost"])
async def test_closed_from_a_task_begun_in_a_callback_ends(moment: str, rig: Rig) -> None:
    phone = Phone(is_echo=True)
    pipe, receiver = await started(rig, phone)
    closings: list[asyncio.Task[None]] = []
    setattr(receiver, moment, lambda: closings.append(asyncio.ensure_future(pipe.close())))

    fill(receiver)
    if moment == "when_lost":
        rig.unplug(phone)
    await until(lambda: bool(closings))

    await asyncio.gather(*closings)
    await finish(pipe, receiver)


# Receivers that raise


def fail() -> None:
    """What a receiver does that is wrong."""
    raise RuntimeError("the receiver's fault")


@pytest.mark.asyncio
async def test_data_received_raises_the_rest_still_arrives(rig: Rig) -> None:
    phone = Phone(is_echo=True)
    pipe, receiver = await started(rig, phone)
    receiver.when_received = fail
    transfers = [bytes([number]) * 300 for number in range(50)]

    with collected_exceptions() as exceptions:
        phone.send(*transfers)
        await until(lambda: receiver.data == b"".join(transfers))
        receiver.write(b"and back")
        await until(lambda: receiver.data.endswith(b"and back"))

    assert {type(exception) for exception in exceptions} == {RuntimeError}
    assert len(exceptions) == receiver.calls.count("data_received")
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_slot_freed_raises_pipe_goes_on(rig: Rig) -> None:
    phone = Phone(is_echo=True)
    pipe, receiver = await started(rig, phone)
    receiver.when_freed = fail

    with collected_exceptions() as exceptions:
        for times in range(1, 4):
            expected = len(receiver.data) + 100 * fill(receiver)
            phone.send(b"x")
            await until_length(receiver.data, expected + 1)
            assert receiver.slots_freed == times

    assert [type(exception) for exception in exceptions] == [RuntimeError] * 3
    await finish(pipe, receiver)


@pytest.mark.asyncio
@pytest.mark.parametrize("is_unplugged", [False, True])
async def test_pipe_lost_raises_pipe_is_closed_all_the_same(is_unplugged: bool, rig: Rig) -> None:
    phone = Phone()
    candidate, pipe = await opened(rig, phone)
    receiver = Receiver(pipe)
    receiver.start()
    receiver.when_lost = fail

    with collected_exceptions() as exceptions:
        if is_unplugged:
            rig.unplug(phone)
            await until(lambda: bool(receiver.losses))
        await finish(pipe, receiver)

    assert [type(exception) for exception in exceptions] == [RuntimeError]
    if not is_unplugged:
        await (await candidate.open()).close()
