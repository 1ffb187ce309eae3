from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import USBMUX, line_of, started
from tests.testing.usbredir_guest import SocketGuest
from usbmux.commands.redirection import Cable
from usbmux.testing import UsbredirServer, default_phones
from usbmux.testing.iphone import PowerAction, default_iphones
from usbmux.testing.usb_phone import ENDPOINT_OUT
from usbmux.testing.usbredir_packet import PacketType

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="redir") as directory:
        yield Path(directory) / "phone"


@pytest.mark.asyncio
async def test_usbredir_two_phones_each_has_its_socket_and_a_line_for_qemu(path: Path) -> None:
    udids = [phone.udid for phone in default_phones(2)]
    async with started(USBMUX, "simulate", "--usbredir", str(path), "--count", "2", "--speed", "super") as process:
        for index, socket in enumerate((path, path.with_name("phone.1"))):
            name = f"phone{index}"
            assert await line_of(process.stdout) == (
                f"ready udid={udids[index]} speed=super socket={socket} "
                f"qemu: -chardev socket,id={name},path={socket} -device usb-redir,chardev={name}"
            )
            guest = await SocketGuest.connect(socket)
            assert (await guest.wait(PacketType.DEVICE_CONNECT)).payload[0] == 3
            guest.writer.close()
        process.terminate()
        assert await process.wait() == 0
    assert not os.access(path, os.F_OK)


@pytest.mark.asyncio
async def test_usbredir_rule_broken_by_the_guest_is_told_and_exits_1(path: Path) -> None:
    async with started(USBMUX, "simulate", "--usbredir", str(path)) as process:
        await line_of(process.stdout)
        guest = await SocketGuest.connect(path)
        await guest.set_configuration(4)
        guest.writer.write(guest.bulk(1, ENDPOINT_OUT, b"no mux packet"))
        await guest.wait_bulk()
        process.terminate()
        assert await process.wait() == 1
        assert process.stderr is not None
        assert b"usbmux simulate: a rule was broken: 00008030-" in await process.stderr.read()
        guest.writer.close()


@pytest.mark.asyncio
async def test_usbredir_file_names_the_phones(path: Path) -> None:
    config = path.with_name("phones.toml")
    await asyncio.to_thread(config.write_text, '[[phone]]\nudid = "0123456789"\n')
    async with started(USBMUX, "simulate", "--usbredir", str(path), "--config", str(config)) as process:
        assert (await line_of(process.stdout)).startswith("ready udid=0123456789 speed=high ")


@pytest.mark.asyncio
async def test_usbredir_restarted_phone_leaves_the_guest_and_comes_back(path: Path) -> None:
    (iphone,) = default_iphones(1)
    async with UsbredirServer(iphone.device, is_plugged=False) as server:
        await server.serve(path)
        iphone.device.plug_into(Cable(server))
        guest = await SocketGuest.connect(path)
        async with asyncio.timeout(30):
            await guest.wait(PacketType.DEVICE_CONNECT)
            iphone.carry_out(PowerAction.RESTART)
            await guest.wait(PacketType.DEVICE_DISCONNECT)
            guest.writer.write(guest.packet(PacketType.DEVICE_DISCONNECT_ACK))
            await guest.wait(PacketType.DEVICE_CONNECT)
        guest.writer.close()
