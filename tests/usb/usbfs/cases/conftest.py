import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.usb.usbfs.device import UsbfsDevice
from tests.usb.usbfs.host import UsbfsHost
from tests.usb.usbfs.subjects import Arrivals
from usbmux.testing.usb_descriptors import DeviceKind
from usbmux.testing.usb_phone import phone_configurations
from usbmux.usb.libusb import LibusbBus


@pytest_asyncio.fixture
async def host(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[UsbfsHost]:
    # Not below tmp_path: a socket's path is short.
    directory = Path(tempfile.mkdtemp(prefix="usbfs"))
    monkeypatch.setenv("FAKE_USBFS_SOCKET", str(directory / "s"))
    usbfs_host = UsbfsHost()
    await usbfs_host.start(directory / "s")
    descriptors = set(os.listdir("/proc/self/fd"))
    yield usbfs_host
    leaked = set(os.listdir("/proc/self/fd")) - descriptors
    await usbfs_host.close()
    shutil.rmtree(directory)
    assert not leaked


@pytest.fixture
def phone() -> UsbfsDevice:
    return UsbfsDevice(DeviceKind(phone_configurations()))


@pytest_asyncio.fixture
async def arrivals(host: UsbfsHost) -> AsyncIterator[Arrivals]:
    listener = Arrivals()
    bus = LibusbBus()
    await bus.start(listener)
    yield listener
    await bus.close()
