"""The relay outlives phones and daemons."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from usbmux import AsyncClient
from usbmux.control.address import UnixAddress
from usbmux.relay import Forwarder, PortMapping
from usbmux.testing import PhoneStream, RunningDaemon, SimulatedPhone, echo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

UDID = "00008030-001A2B3C4D5E6F01"
MAPPING = PortMapping(device_port=7, local_port=0)


async def ask(port: int, text: bytes) -> bytes:
    """What an echo answers; empty if the connection ends before."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        return await asyncio.wait_for(reader.read(len(text)), 20)
    finally:
        writer.close()
        await writer.wait_closed()


def new_phone() -> SimulatedPhone:
    return SimulatedPhone(UDID, ports={7: echo})


@pytest.mark.parametrize("udid", [UDID, None])
async def test_phone_replugged_next_connection_finds_it(udid: str | None) -> None:
    phone = new_phone()
    with RunningDaemon([phone]) as daemon:
        async with Forwarder(AsyncClient(str(daemon.address)), [MAPPING.route(udid=udid)]) as forwarder:
            port = forwarder.listening_ports[0].port
            for number in range(3):
                assert await ask(port, b"round %d" % number) == b"round %d" % number
                daemon.unplug(phone)
                daemon.plug(phone)
        assert daemon.violations == []


async def test_phone_unplugged_in_a_connection_that_one_ends_and_the_next_waits() -> None:
    phone = new_phone()
    with RunningDaemon([phone]) as daemon:
        async with Forwarder(AsyncClient(str(daemon.address)), [MAPPING.route()]) as forwarder:
            port = forwarder.listening_ports[0].port
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            daemon.unplug(phone)
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
            waiting = asyncio.create_task(ask(port, b"patience"))
            await asyncio.sleep(0.1)  # it has met the absence
            assert not waiting.done()
            daemon.plug(phone)
            assert await waiting == b"patience"


async def test_daemon_restarted_next_connection_finds_the_new_one(tmp_path: Path) -> None:
    address = UnixAddress(str(tmp_path / "usbmuxd"))
    async with Forwarder(AsyncClient(address), [MAPPING.route()]) as forwarder:
        port = forwarder.listening_ports[0].port
        for number in range(3):
            waiting = asyncio.create_task(ask(port, b"round %d" % number))  # while there is no daemon
            await asyncio.sleep(0.05)
            assert not waiting.done()
            with RunningDaemon([new_phone()], addresses=[address]) as daemon:
                assert await waiting == b"round %d" % number
                assert await ask(port, b"again") == b"again"
            assert daemon.violations == []


async def test_daemon_ends_in_a_connection_that_one_ends_and_the_relay_goes_on(tmp_path: Path) -> None:
    address = UnixAddress(str(tmp_path / "usbmuxd"))
    async with Forwarder(AsyncClient(address), [MAPPING.route()]) as forwarder:
        port = forwarder.listening_ports[0].port
        with RunningDaemon([new_phone()], addresses=[address]):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x")
            assert await reader.read(1) == b"x"
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        with RunningDaemon([new_phone()], addresses=[address]):
            assert await ask(port, b"back") == b"back"


async def test_connection_closed_by_local_program_phone_has_everything() -> None:
    data = bytes(range(256)) * 4000
    received = asyncio.get_running_loop().create_future()

    async def collect(stream: PhoneStream) -> None:
        collected = await stream.readexactly(len(data))
        received.get_loop().call_soon_threadsafe(received.set_result, collected)

    phone = SimulatedPhone(UDID, ports={7: collect})
    with RunningDaemon([phone]) as daemon:
        async with Forwarder(AsyncClient(str(daemon.address)), [MAPPING.route()]) as forwarder:
            _reader, writer = await asyncio.open_connection("127.0.0.1", forwarder.listening_ports[0].port)
            writer.write(data)
            writer.close()
            await writer.wait_closed()
            assert await asyncio.wait_for(received, 10) == data
        assert daemon.violations == []
