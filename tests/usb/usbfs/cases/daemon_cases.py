"""The whole daemon on the real libusb, with simulated phones behind it. Run by tests/usb/test_on_usbfs.py."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.usb.usbfs.device import device_of_function
from tests.usb.usbfs.host import UsbfsHost
from tests.usb.usbfs.subjects import until
from usbmux.client.aio import AsyncClient
from usbmux.control.address import UnixAddress
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.server import Daemon
from usbmux.daemon.settings import DaemonSettings
from usbmux.testing import PhoneOptions, SimulatedPhone, digest, echo, pattern, source
from usbmux.usb.libusb import LibusbBus

_LENGTH = 8 << 20


@pytest_asyncio.fixture
async def client(host: UsbfsHost) -> AsyncIterator[AsyncClient]:
    with tempfile.TemporaryDirectory(prefix="usbfs") as directory:
        address = UnixAddress(f"{directory}/usbmuxd")
        settings = DaemonSettings(listen=(ListenSettings(address),), pair_record_directory=Path(directory))
        async with Daemon(settings, [LibusbBus()]):
            yield AsyncClient(address)


async def wait_attached(client: AsyncClient, count: int) -> None:
    async with asyncio.timeout(10):
        while len(await client.devices()) != count:
            pass


@pytest.mark.asyncio
@pytest.mark.parametrize("max_packet_size", [512, 1024])
@pytest.mark.parametrize("version", [1, 2])
async def test_daemon_moves_bytes_both_ways_without_violation(
    version: int, max_packet_size: int, host: UsbfsHost, client: AsyncClient
) -> None:
    phone = SimulatedPhone(
        ports={1: source, 2: digest, 7: echo}, version=version, options=PhoneOptions(max_packet_size=max_packet_size)
    )
    host.plug(device_of_function(phone))
    await wait_attached(client, 1)
    data = bytes(pattern(_LENGTH))
    header = _LENGTH.to_bytes(8)

    reader, writer = await client.connect(None, 1)
    writer.write(header)
    assert hashlib.sha256(await reader.readexactly(_LENGTH)).digest() == hashlib.sha256(data).digest()
    writer.close()
    reader, writer = await client.connect(None, 2)
    writer.write(header + data)
    assert await reader.readexactly(32) == hashlib.sha256(data).digest()
    writer.close()
    reader, writer = await client.connect(None, 7)
    writer.write(data)
    assert await reader.readexactly(_LENGTH) == data
    writer.close()

    assert phone.violations == []


@pytest.mark.asyncio
async def test_daemon_phone_unplugged_under_load_is_detached_and_comes_back(
    host: UsbfsHost, client: AsyncClient
) -> None:
    phone = SimulatedPhone(ports={1: source, 7: echo})
    device = device_of_function(phone)
    for _ in range(5):
        host.plug(device)
        await wait_attached(client, 1)
        reader, writer = await client.connect(None, 1)
        writer.write((1 << 40).to_bytes(8))
        await reader.readexactly(1 << 20)

        host.unplug(device)

        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1 << 30)
        writer.close()
        await wait_attached(client, 0)

    await until(lambda: device.open_count == 0)
    assert phone.violations == []
