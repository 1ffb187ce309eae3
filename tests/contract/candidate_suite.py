"""What every phone on a bus promises (`UsbCandidate`, `UsbDeviceInfo`), run against each bus.

Imported as a whole by modules that have a fixture `rig`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.contract.bus_subjects import Listener, Phone, Receiver, Rig, finish, opened, started, turns, until_length
from tests.usb.usbfs.subjects import until
from usbmux.errors import UsbAccessError, UsbDisconnectedError


@pytest.mark.asyncio
@pytest.mark.parametrize(("max_packet_size", "speed"), [(512, 480_000_000), (1024, 5_000_000_000)])
async def test_opened_pipe_tells_who_it_is(max_packet_size: int, speed: int, rig: Rig) -> None:
    candidate, pipe = await opened(rig, Phone(max_packet_size=max_packet_size))

    info = pipe.info

    assert info.serial_number == "00008030-001A2B3C4D5E6F01"
    assert info.product_id == 0x12A8
    assert info.connection_speed == speed
    assert 0 < info.location_id < 1 << 32
    assert candidate.name == f"{info.port_path} (05ac:12a8)"
    await pipe.close()


@pytest.mark.asyncio
async def test_replugged_location_changes_and_port_path_stays(rig: Rig) -> None:
    phone, listener = Phone(), Listener()
    await rig.bus.start(listener)
    infos = []
    for _ in range(3):
        rig.plug(phone)
        pipe = await (await listener.one()).open()
        infos.append(pipe.info)
        await pipe.close()
        rig.unplug(phone)
        await until(lambda: not listener.present)

    assert len({info.location_id for info in infos}) == 3
    assert len({info.port_path for info in infos}) == 1


@pytest.mark.asyncio
async def test_two_phones_have_places_of_their_own(rig: Rig) -> None:
    listener = Listener()
    for letter in "ab":
        rig.plug(Phone(letter * 40))
    await rig.bus.start(listener)
    await until(lambda: len(listener.present) == 2)
    pipes = [await candidate.open() for candidate in listener.present]

    assert len({pipe.info.location_id for pipe in pipes}) == 2
    assert len({pipe.info.port_path for pipe in pipes}) == 2
    for pipe in pipes:
        await pipe.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("anew", [False, True])
async def test_open_opened_again_is_refused_and_the_pipe_goes_on(anew: bool, rig: Rig) -> None:
    phone = Phone(is_echo=True)
    candidate, pipe = await opened(rig, phone)
    receiver = Receiver(pipe)
    receiver.start()

    with pytest.raises(UsbAccessError):
        await candidate.open(anew=anew)

    receiver.write(b"still here")
    await until(lambda: receiver.data == b"still here")
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_opened_twice_at_once_one_is_refused(rig: Rig) -> None:
    listener = Listener()
    rig.plug(Phone())
    await rig.bus.start(listener)
    candidate = await listener.one()

    results = await asyncio.gather(candidate.open(), candidate.open(), return_exceptions=True)

    refusals = [result for result in results if isinstance(result, BaseException)]
    assert [type(refusal) for refusal in refusals] == [UsbAccessError]
    for result in results:
        if not isinstance(result, BaseException):
            await result.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("anew", [False, True])
async def test_unplugged_opened_is_refused_as_gone(anew: bool, rig: Rig) -> None:
    phone, listener = Phone(), Listener()
    rig.plug(phone)
    await rig.bus.start(listener)
    candidate = await listener.one()
    rig.unplug(phone)
    await until(lambda: not listener.present)

    with pytest.raises(UsbDisconnectedError):
        await candidate.open(anew=anew)


@pytest.mark.asyncio
async def test_replugged_old_candidate_opened_is_refused_as_gone(rig: Rig) -> None:
    phone, listener = Phone(), Listener()
    rig.plug(phone)
    await rig.bus.start(listener)
    candidate = await listener.one()
    rig.unplug(phone)
    await until(lambda: not listener.present)
    rig.plug(phone)
    await listener.one()

    with pytest.raises(UsbDisconnectedError):
        await candidate.open()


@pytest.mark.asyncio
@pytest.mark.parametrize("delay_turns", [0, 1, 3, 5, 10, 20, 50, 100, 200, 400])
async def test_opening_unplugged_opening_fails_or_pipe_is_lost(delay_turns: int, rig: Rig) -> None:
    phone, listener = Phone(), Listener()
    rig.plug(phone)
    await rig.bus.start(listener)
    candidate = await listener.one()

    opening = asyncio.ensure_future(candidate.open())
    await turns(delay_turns)
    rig.unplug(phone)

    try:
        pipe = await opening
    except UsbDisconnectedError:
        return
    receiver = Receiver(pipe)
    receiver.start()
    await until(lambda: bool(receiver.losses))
    assert isinstance(receiver.losses[0], UsbDisconnectedError)
    await finish(pipe, receiver)


@pytest.mark.asyncio
@pytest.mark.parametrize("delay_turns", [0, 1, 10, 100])
async def test_opening_cancelled_can_be_opened_afterwards(delay_turns: int, rig: Rig) -> None:
    listener = Listener()
    rig.plug(Phone())
    await rig.bus.start(listener)
    candidate = await listener.one()

    opening = asyncio.ensure_future(candidate.open())
    await turns(delay_turns)
    opening.cancel()
    with suppress(asyncio.CancelledError):
        await (await opening).close()

    await (await candidate.open()).close()


@pytest.mark.asyncio
@pytest.mark.parametrize("anew", [False, True])
async def test_closed_opened_again_works(anew: bool, rig: Rig) -> None:
    phone = Phone(is_echo=True)
    candidate, pipe = await opened(rig, phone)
    info = pipe.info
    for _ in range(3):
        receiver = Receiver(pipe)
        receiver.start()
        receiver.write(bytes(512))
        await until_length(receiver.data, 512)
        assert receiver.data == bytes(512)
        await finish(pipe, receiver)
        pipe = await candidate.open(anew=anew)
        assert pipe.info == info
    await pipe.close()


@pytest.mark.asyncio
async def test_closed_opened_anew_what_the_phone_sent_meanwhile_is_gone(rig: Rig) -> None:
    phone = Phone(is_echo=True)
    candidate, pipe = await opened(rig, phone)
    await pipe.close()
    phone.send(b"the rest of an old session")

    pipe = await candidate.open(anew=True)
    receiver = Receiver(pipe)
    receiver.start()
    receiver.write(b"new")

    await until(lambda: len(receiver.data) >= 3)
    assert receiver.data == b"new"
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_open_unplugged_bus_and_pipe_both_tell(rig: Rig) -> None:
    phone, listener = Phone(), Listener()
    rig.plug(phone)
    await rig.bus.start(listener)
    pipe = await (await listener.one()).open()
    receiver = Receiver(pipe)
    receiver.start()

    rig.unplug(phone)

    await until(lambda: bool(receiver.losses) and not listener.present)
    await finish(pipe, receiver)


@pytest.mark.asyncio
async def test_replugged_new_candidate_works_while_old_pipe_is_still_there(rig: Rig) -> None:
    phone = Phone(is_echo=True)
    old_pipe, old_receiver = await started(rig, phone)
    rig.unplug(phone)
    await until(lambda: bool(old_receiver.losses))
    await rig.bus.close()
    listener = Listener()
    rig.plug(phone)
    await rig.bus.start(listener)

    pipe = await (await listener.one()).open()
    receiver = Receiver(pipe)
    receiver.start()
    receiver.write(b"new")

    await until(lambda: receiver.data == b"new")
    await finish(old_pipe, old_receiver)
    await finish(pipe, receiver)
