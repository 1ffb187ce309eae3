"""A phone that leaves the bus by itself, and comes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from usbmux.errors import LocalProtocolError
from usbmux.testing import SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import Callable

    from usbmux.usb.function import UsbFunction

WITHIN_S = 30.0


class ScriptedBus:
    """Writes down what is done to it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.is_plugged = False
        self._changed = asyncio.Event()

    def plug(self, _: UsbFunction) -> None:
        self._note("plug")
        if self.is_plugged:
            raise LocalProtocolError("is plugged in")
        self.is_plugged = True

    def unplug(self, _: UsbFunction) -> None:
        self._note("unplug")
        if not self.is_plugged:
            raise LocalProtocolError("is not plugged in")
        self.is_plugged = False

    async def wait(self, *calls: str) -> None:
        async with asyncio.timeout(WITHIN_S):
            while self.calls != list(calls):
                await self._changed.wait()
                self._changed.clear()

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self._changed.set()


def errors_of_callbacks() -> list[object]:
    """What callbacks of the running loop raise from now on."""
    errors: list[object] = []
    note: Callable[..., None] = lambda _loop, context: errors.append(context)  # noqa: E731
    asyncio.get_running_loop().set_exception_handler(note)
    return errors


@pytest.mark.asyncio
async def test_phone_that_leaves_comes_back_if_it_is_to() -> None:
    bus, phone = ScriptedBus(), SimulatedPhone()
    phone.plug_into(bus)
    phone.leave(back_after_s=0.0)
    assert bus.calls == ["plug"]
    await bus.wait("plug", "unplug", "plug")


@pytest.mark.asyncio
async def test_phone_that_leaves_for_good_is_not_plugged_in_again() -> None:
    bus, phone = ScriptedBus(), SimulatedPhone()
    phone.plug_into(bus)
    phone.leave()
    await bus.wait("plug", "unplug")
    for _ in range(5):
        await asyncio.sleep(0)  # what is due by now is done
    assert not bus.is_plugged
    phone.plug_into(bus)  # by hand
    assert bus.is_plugged


@pytest.mark.asyncio
async def test_phone_that_nobody_plugged_in_stays() -> None:
    errors = errors_of_callbacks()
    SimulatedPhone().leave(back_after_s=0.0)
    await asyncio.sleep(0)
    assert errors == []


@pytest.mark.asyncio
async def test_phone_unplugged_before_it_leaves_stays_unplugged() -> None:
    errors, bus, phone = errors_of_callbacks(), ScriptedBus(), SimulatedPhone()
    phone.plug_into(bus)
    phone.leave(back_after_s=0.0)
    bus.unplug(phone)
    await bus.wait("plug", "unplug", "unplug")
    assert not bus.is_plugged
    assert errors == []


@pytest.mark.asyncio
async def test_phone_plugged_in_before_it_comes_back_is_left_alone() -> None:
    errors, bus, phone = errors_of_callbacks(), ScriptedBus(), SimulatedPhone()
    phone.plug_into(bus)
    phone.leave(back_after_s=0.2)
    await bus.wait("plug", "unplug")
    bus.plug(phone)
    await bus.wait("plug", "unplug", "plug", "plug")
    assert errors == []
