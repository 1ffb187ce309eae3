"""The contract of the bus, kept by the one over the real libusb. Run by tests/usb/test_on_usbfs.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

# Every test of the suites, so that none is forgotten.
from tests.contract.bus_suite import *  # noqa: F403
from tests.contract.candidate_suite import *  # noqa: F403
from tests.contract.pipe_end_suite import *  # noqa: F403
from tests.contract.pipe_suite import *  # noqa: F403
from tests.usb.usbfs.device import UsbfsDevice, device_of_function
from usbmux.usb.libusb import LibusbBus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from tests.usb.usbfs.host import UsbfsHost
    from usbmux.usb.function import UsbFunction


class UsbfsRig:
    """A `Rig` around a `LibusbBus` and the kernel's place below it."""

    def __init__(self, host: UsbfsHost) -> None:
        self.bus = LibusbBus()
        self._host = host
        self._devices: dict[UsbFunction, UsbfsDevice] = {}

    def plug(self, function: UsbFunction) -> None:
        name = f"1-{len(self._devices) + 1}"
        self._host.plug(self._devices.setdefault(function, device_of_function(function, name=name)))

    def unplug(self, function: UsbFunction) -> None:
        self._host.unplug(self._devices[function])


@pytest_asyncio.fixture(params=["hotplug", "polling"])
async def rig(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, host: UsbfsHost
) -> AsyncIterator[UsbfsRig]:
    if request.param == "polling":
        monkeypatch.setenv("FAKE_USBFS_WITHOUT_UDEV", "1")
        monkeypatch.setattr("usbmux.usb.libusb._POLL_INTERVAL_S", 0.02)
    usbfs = UsbfsRig(host)
    yield usbfs
    await usbfs.bus.close()
