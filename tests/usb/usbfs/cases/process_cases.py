"""The daemon's process, on signals that concern the bus. Run by tests/usb/test_on_usbfs.py."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.usb.usbfs.device import device_of_function
from tests.usb.usbfs.host import UsbfsHost
from usbmux.client.aio import AsyncClient
from usbmux.testing import SimulatedPhone

FIRST, SECOND = "00008030-001A2B3C4D5E6F01", "00008030-001A2B3C4D5E6F02"
_PATIENCE_S = 30


@pytest_asyncio.fixture
async def daemon(host: UsbfsHost, tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """One that looks for phones only at the start and when told to, and has found one at the start."""
    host.plug(device_of_function(SimulatedPhone(FIRST)))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "usbmux.commands.usbmuxd", "-f", "-n", "-v"),
        *("-S", str(tmp_path / "usbmuxd"), "-C", str(tmp_path / "records")),
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_PATIENCE_S):
        await wait_for(process, b"attached")
    yield process
    process.terminate()
    await process.wait()


async def wait_for(process: asyncio.subprocess.Process, text: bytes) -> None:
    assert process.stderr is not None
    while text not in (line := await process.stderr.readline()):
        assert line, "the daemon has ended"


@pytest.mark.asyncio
async def test_without_hotplug_usr2_finds_what_was_plugged_in_since(
    host: UsbfsHost, daemon: asyncio.subprocess.Process, tmp_path: Path
) -> None:
    client = AsyncClient(f"unix:{tmp_path}/usbmuxd")
    host.plug(device_of_function(SimulatedPhone(SECOND), name="1-3"))
    # Two rounds of what a daemon with hotplug does every second without being told.
    await asyncio.sleep(2.5)
    assert [device.udid for device in await client.devices()] == [FIRST]

    daemon.send_signal(signal.SIGUSR2)

    async with asyncio.timeout(_PATIENCE_S):
        await wait_for(daemon, b"attached")
    assert {device.udid for device in await client.devices()} == {FIRST, SECOND}
