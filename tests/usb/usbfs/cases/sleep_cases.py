"""A machine that sleeps while a phone is used. Run by tests/usb/test_on_usbfs.py."""

import time

import pytest

from tests.usb.usbfs.device import UsbfsDevice
from tests.usb.usbfs.host import UsbfsHost
from tests.usb.usbfs.subjects import Arrivals, Received, until, write_all
from usbmux.errors import UsbDisconnectedError
from usbmux.usb.pipe import BulkPipe, UsbCandidate

_ANOTHER_CLOCK = "usbmux.usb.sleep._since_boot_s"


async def started(candidate: UsbCandidate) -> tuple[BulkPipe, Received]:
    pipe = await candidate.open()
    received = Received()
    pipe.start(received)
    return pipe, received


@pytest.mark.asyncio
@pytest.mark.parametrize("direction", ["read", "write", "write begun"])
async def test_machine_slept_transfer_that_goes_well_loses_the_pipe(
    direction: str, host: UsbfsHost, phone: UsbfsDevice, arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.plug(phone)
    candidate = await arrivals.first()
    pipe, received = await started(candidate)
    if direction == "write":
        phone.holds_writes = True
        while pipe.has_free_slot():
            pipe.write(b"before")
        await until(lambda: len(phone.writes_held) > 0)

    monkeypatch.setattr(_ANOTHER_CLOCK, lambda: time.monotonic() + 10.0)
    if direction == "write":
        phone.release_writes()
    elif direction == "write begun":
        pipe.write(b"after")
    else:
        phone.send(b"from before")

    await until(lambda: bool(received.losses))
    assert isinstance(received.losses[0], UsbDisconnectedError)
    assert received.data == b""
    assert received.slots_freed == 0
    await pipe.close()

    pipe, received = await started(candidate)
    phone.send(b"hello")
    await write_all(pipe, [b"again"])
    await until(lambda: received.data == b"hello" and (b"again", True) in phone.written)
    await pipe.close()
    assert received.losses == [None]
