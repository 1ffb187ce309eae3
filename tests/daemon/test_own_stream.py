from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import PATIENCE_S, UDID, HeldPort, some_bytes, turns, until
from usbmux.daemon.own_stream import OwnStream
from usbmux.errors import DeviceResetError, LocalProtocolError, PortRefusedError
from usbmux.mux.settings import MuxSettings
from usbmux.testing import PhoneOptions, PhoneStream, SimulatedPhone, echo, source

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve
    from tests.daemon.harness import Harness
    from usbmux.daemon.device_link import DeviceLink

pytestmark = pytest.mark.asyncio

LONG = some_bytes(1 << 20)
WINDOW = MuxSettings().receive_window


async def linked(harness: Harness) -> DeviceLink:
    await harness.attached()
    link = harness.daemon.registry.link(1)
    assert link is not None
    return link


async def read_exactly(stream: OwnStream, count: int) -> bytes:
    data = bytearray()
    async with asyncio.timeout(PATIENCE_S):
        while len(data) < count:
            piece = await stream.read(count - len(data))
            assert piece
            data += piece
    return bytes(data)


async def test_what_is_written_comes_back_in_order(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}, options=PhoneOptions(window=4096)))
    stream = await OwnStream.open(await linked(harness), 7)
    writing = asyncio.create_task(stream.write(LONG))
    assert await read_exactly(stream, len(LONG)) == LONG
    await writing
    stream.close()


async def test_port_without_anybody_is_refused(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID))
    with pytest.raises(PortRefusedError):
        await OwnStream.open(await linked(harness), 7)


async def test_phone_does_not_answer_in_time_is_an_error(serve: Serve) -> None:
    phone = SimulatedPhone(UDID, options=PhoneOptions(answer_syn=False))
    harness = await serve(phone, mux=MuxSettings(syn_timeout_s=0.05))
    with pytest.raises(DeviceResetError, match="unanswered"):
        await OwnStream.open(await linked(harness), 7)


async def test_open_is_cancelled_nothing_is_left(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, options=PhoneOptions(answer_syn=False)))
    link = await linked(harness)
    task = asyncio.create_task(OwnStream.open(link, 7))
    await until(lambda: link.handlers)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not link.handlers


async def test_phone_is_gone_no_connection_begins(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID))
    link = await linked(harness)
    harness.bus.unplug(harness.phones[0])
    await harness.attached(0)
    with pytest.raises(LocalProtocolError):
        await OwnStream.open(link, 7)


async def test_nobody_reads_the_phone_sends_one_window_only(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={19: source}))
    stream = await OwnStream.open(await linked(harness), 19)
    await stream.write((4 * WINDOW).to_bytes(8))
    await until(lambda: len(stream._received) == WINDOW)
    await turns()
    assert len(stream._received) == WINDOW
    assert len(await read_exactly(stream, 3 * WINDOW)) == 3 * WINDOW
    stream.close()


async def test_closed_by_us_is_over_at_once_and_the_phone_hears_the_rest(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}))
    stream = await OwnStream.open(await linked(harness), 7)
    phones = await port.stream()
    await phones.write(b"x" * 1000)
    await until(lambda: stream._received)
    await stream.write(b"last")
    stream.close()
    stream.close()
    assert await stream.read(10) == b""
    with pytest.raises(DeviceResetError, match="closed by us"):
        await stream.write(b"x")
    assert await phones.readexactly(4) == b"last"
    assert await phones.read() == b""
    port.end()


async def test_data_that_comes_behind_our_end_is_dropped(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}))
    stream = await OwnStream.open(await linked(harness), 7)
    phones = await port.stream()
    await phones.write(LONG[: WINDOW // 2])
    stream.close()
    await turns()
    assert not stream._received
    port.end()


async def test_phone_has_ended_the_rest_is_read_first(serve: Serve) -> None:
    async def say_and_end(phones: PhoneStream) -> None:
        await phones.write(b"all there is")

    harness = await serve(SimulatedPhone(UDID, ports={7: say_and_end}))
    stream = await OwnStream.open(await linked(harness), 7)
    await until(lambda: stream._end)
    assert (await stream.read(4), await stream.read(100), await stream.read(100)) == (b"all ", b"there is", b"")
    with pytest.raises(DeviceResetError, match="reset"):
        await stream.write(b"x")
    await stream.write(b"")


async def test_unplugged_who_waits_is_woken(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: HeldPort()}, options=PhoneOptions(window=1024)))
    stream = await OwnStream.open(await linked(harness), 7)
    other = await OwnStream.open(await linked(harness), 7)
    reading = asyncio.create_task(stream.read(1))
    writing = asyncio.create_task(other.write(LONG))
    await turns()
    harness.bus.unplug(harness.phones[0])
    async with asyncio.timeout(PATIENCE_S):
        assert await reading == b""
        with pytest.raises(DeviceResetError):
            await writing
