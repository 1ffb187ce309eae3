"""What every bus promises (`UsbBus`, `BusListener`), run against each of them.

Imported as a whole by modules that have a fixture `rig`.
"""

from __future__ import annotations

import pytest

from tests.contract.bus_subjects import Listener, Phone, Rig, collected_exceptions, turns, until_length
from tests.usb.usbfs.subjects import until
from usbmux.errors import LocalProtocolError


@pytest.mark.asyncio
async def test_phones_present_started_all_are_reported(rig: Rig) -> None:
    rig.plug(Phone("a" * 40))
    rig.plug(Phone("b" * 40))
    listener = Listener()

    await rig.bus.start(listener)

    await until(lambda: len(listener.present) == 2)
    pipes = [await candidate.open() for candidate in listener.present]
    assert sorted(pipe.info.serial_number for pipe in pipes) == ["a" * 40, "b" * 40]
    assert listener.faults == []
    for pipe in pipes:
        await pipe.close()


@pytest.mark.asyncio
async def test_started_phone_comes_goes_and_comes_each_change_is_reported_once(rig: Rig) -> None:
    phone, listener = Phone(), Listener()
    await rig.bus.start(listener)

    for replugs in range(3):
        with listener.call():
            rig.plug(phone)
        await until_length(listener.log, 2 * replugs + 1)
        with listener.call():
            rig.unplug(phone)
        await until_length(listener.log, 2 * replugs + 2)

    assert listener.words == ["arrived", "left"] * 3
    candidates = [candidate for _, candidate in listener.log]
    assert candidates[0::2] == candidates[1::2]
    assert len(set(candidates)) == 3
    assert listener.faults == []


@pytest.mark.asyncio
async def test_started_phone_leaves_the_others_stay(rig: Rig) -> None:
    phones, listener = [Phone("a" * 40), Phone("b" * 40)], Listener()
    for phone in phones:
        rig.plug(phone)
    await rig.bus.start(listener)
    await until(lambda: len(listener.present) == 2)

    rig.unplug(phones[0])
    await until(lambda: len(listener.present) == 1)

    pipe = await listener.present[0].open()
    assert pipe.info.serial_number == "b" * 40
    await pipe.close()


@pytest.mark.asyncio
async def test_started_rescanned_at_any_time_reports_nothing_twice(rig: Rig) -> None:
    phone, listener = Phone(), Listener()
    rig.bus.rescan()
    await rig.bus.start(listener)
    for changes, change in enumerate((rig.plug, rig.unplug, rig.plug), start=1):
        with listener.call():
            rig.bus.rescan()
            change(phone)
            rig.bus.rescan()
        await until_length(listener.log, changes)
        rig.bus.rescan()
        await turns()

    other = Phone("b" * 40)
    rig.plug(other)
    rig.bus.rescan()
    await until(lambda: len(listener.present) == 2)

    assert listener.words == ["arrived", "left", "arrived", "arrived"]
    assert listener.faults == []
    await rig.bus.close()
    rig.bus.rescan()


@pytest.mark.asyncio
async def test_closed_changes_are_not_reported(rig: Rig) -> None:
    phones, listener = [Phone("a" * 40), Phone("b" * 40)], Listener()
    rig.plug(phones[0])
    await rig.bus.start(listener)
    await listener.one()

    rig.unplug(phones[0])
    rig.plug(phones[1])
    await rig.bus.close()
    await turns()
    rig.unplug(phones[1])
    await turns()

    assert listener.words == ["arrived"]


@pytest.mark.asyncio
async def test_closed_twice_or_never_started_nothing_happens(rig: Rig) -> None:
    await rig.bus.close()
    await rig.bus.start(Listener())
    await rig.bus.close()
    await rig.bus.close()


@pytest.mark.asyncio
async def test_closed_started_again_reports_what_is_there_once(rig: Rig) -> None:
    phones, listener = [Phone("a" * 40), Phone("b" * 40)], Listener()
    rig.plug(phones[0])
    await rig.bus.start(listener)
    await listener.one()
    rig.unplug(phones[0])
    rig.plug(phones[1])
    await rig.bus.close()
    listener.log.clear()
    listener.present.clear()

    await rig.bus.start(listener)

    candidate = await listener.one()
    await turns()
    assert listener.log == [("arrived", candidate)]


@pytest.mark.asyncio
async def test_started_bus_start_again_is_refused_and_changes_nothing(rig: Rig) -> None:
    listener, other = Listener(), Listener()
    await rig.bus.start(listener)

    with pytest.raises(LocalProtocolError):
        await rig.bus.start(other)

    rig.plug(Phone())
    await listener.one()
    assert other.log == []


@pytest.mark.asyncio
async def test_listener_raises_later_changes_are_still_reported(rig: Rig) -> None:
    phones, listener = [Phone("a" * 40), Phone("b" * 40)], Listener()
    listener.raises = True
    with collected_exceptions() as exceptions:
        for phone in phones:
            rig.plug(phone)
        await rig.bus.start(listener)
        await until(lambda: len(listener.present) == 2)
        rig.unplug(phones[0])
        await until(lambda: len(listener.present) == 1)
        rig.bus.rescan()
        rig.plug(phones[0])
        await until(lambda: len(listener.present) == 2)

    assert listener.words == ["arrived", "arrived", "left", "arrived"]
    assert [type(exception) for exception in exceptions] == [RuntimeError] * 4
