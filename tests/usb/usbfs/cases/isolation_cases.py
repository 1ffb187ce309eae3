"""Phones that hang in the kernel, beside one that does not. Run by tests/usb/test_on_usbfs.py."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from tests.usb.usbfs.device import Call, UsbfsDevice
from tests.usb.usbfs.subjects import Arrivals, Received, until
from usbmux.testing.usb_phone import ENDPOINT_IN

if TYPE_CHECKING:
    from tests.usb.usbfs.host import UsbfsHost
    from usbmux.usb.pipe import BulkPipe

# More than there are threads in the pool that asyncio has for everybody, on most machines.
_HANGING = 20


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("usbmux 1-")]


def plug_hanging(host: UsbfsHost, phone: UsbfsDevice, call: Call) -> list[UsbfsDevice]:
    """Phones that need their configuration set, and for which a call does not return."""
    devices = [UsbfsDevice(phone.kind, name=f"1-{number}", configuration=1) for number in range(10, 10 + _HANGING)]
    for device in devices:
        device.hangs_in = call
        host.plug(device)
    return devices


async def assert_works(host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals) -> None:
    count = len(arrivals.present)
    host.plug(phone)
    await until(lambda: len(arrivals.present) > count)
    pipe = await arrivals.present[-1].open()
    received = Received()
    pipe.start(received)
    phone.send(b"hello")
    await until(lambda: received.data == b"hello")
    await pipe.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("call", [Call.SET_CONFIGURATION, Call.CLAIM], ids=lambda call: call.name)
async def test_phones_hang_while_opened_another_works_all_the_same(
    call: Call, host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    plug_hanging(host, phone, call)
    await until(lambda: len(arrivals.present) == _HANGING)
    openings = [asyncio.ensure_future(candidate.open()) for candidate in arrivals.present]
    await until(lambda: host.hanging_count == _HANGING)

    await assert_works(host, phone, arrivals)

    host.release_calls()
    for pipe in await asyncio.gather(*openings):
        await pipe.close()
    await until(lambda: not threads())


@pytest.mark.asyncio
async def test_phones_hang_while_healed_another_works_all_the_same(
    host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals
) -> None:
    devices = plug_hanging(host, phone, Call.CLEAR_HALT)
    await until(lambda: len(arrivals.present) == _HANGING)
    pipes: list[BulkPipe] = [await candidate.open() for candidate in arrivals.present]
    for pipe, device in zip(pipes, devices, strict=True):
        pipe.start(Received())
        device.stall(ENDPOINT_IN)
    await until(lambda: host.hanging_count == _HANGING)

    await assert_works(host, phone, arrivals)

    host.release_calls()
    for pipe in pipes:
        await pipe.close()
    await until(lambda: not threads())
