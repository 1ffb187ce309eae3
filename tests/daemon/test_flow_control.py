"""A slow client slows only itself, and costs at most one window (T6, T9)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import UDID, Harness, HeldPort, some_bytes, turns, until
from usbmux.daemon.client_table import connections_of
from usbmux.mux.settings import MuxSettings
from usbmux.testing import PhoneOptions, PhoneStream, SimulatedPhone, echo, pattern, phone, source

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve

pytestmark = pytest.mark.asyncio

MEBIBYTE = 1 << 20
WINDOW = 131072


def backlogs(harness: Harness) -> list[int]:
    """The number of bytes that wait in the daemon for each client."""
    return [connection.backlog for connection in connections_of(harness.daemon.clients, 0)]


async def test_clients_that_do_not_read_others_get_everything(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={19: source, 7: echo}))
    slow = [await harness.stream(19, is_slow=True) for _ in range(20)]
    for client in slow:
        await client.send((4 * MEBIBYTE).to_bytes(8))
    await turns(2000)
    quick = await harness.stream(19)
    await quick.send(MEBIBYTE.to_bytes(8))
    assert await quick.receive_exactly(MEBIBYTE) == bytes(pattern(MEBIBYTE))
    talker = await harness.stream(7)
    for _ in range(100):
        await talker.send(b"x")
        assert await talker.receive() == b"x"
    for client in slow[:3]:
        assert await client.receive_exactly(4 * MEBIBYTE) == bytes(pattern(4 * MEBIBYTE))
    await harness.quiet()


async def test_client_does_not_read_no_more_than_a_window_waits_in_the_daemon(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={19: source}))
    client = await harness.stream(19, is_slow=True)
    await client.send((4 * MEBIBYTE).to_bytes(8))
    await turns(2000)
    assert backlogs(harness) == [WINDOW]
    assert await client.receive_exactly(4 * MEBIBYTE) == bytes(pattern(4 * MEBIBYTE))
    assert backlogs(harness) in ([], [0])
    await harness.quiet()


@pytest.mark.parametrize(("connection_speed", "window"), [(5_000_000_000, 262_144), (10_000_000_000, 524_288)])
async def test_bus_is_faster_the_window_is_larger(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, connection_speed: int, window: int
) -> None:
    monkeypatch.setattr(phone, "_HIGH_SPEED", connection_speed)
    harness = await serve(SimulatedPhone(UDID, ports={19: source}))
    client = await harness.stream(19, is_slow=True)
    await client.send((4 * MEBIBYTE).to_bytes(8))
    await turns(2000)
    assert backlogs(harness) == [window]
    assert await client.receive_exactly(4 * MEBIBYTE) == bytes(pattern(4 * MEBIBYTE))
    await harness.quiet()


async def test_phone_does_not_read_client_is_not_read_beyond_the_window(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}, options=PhoneOptions(window=65536)))
    client = await harness.stream(7)
    stream = await port.stream()
    data = some_bytes(2 * MEBIBYTE)
    sending = asyncio.create_task(client.send(data))
    await turns(2000)
    assert not sending.done()
    assert stream.unread_length == 65536
    assert await stream.readexactly(len(data)) == data
    await sending
    port.end()
    assert await client.receive_to_end() == b""
    await harness.quiet()


@pytest.mark.parametrize("acknowledge", ["delivered", "received"])
async def test_phone_window_shrinks_opens_and_is_tiny_every_byte_arrives(serve: Serve, acknowledge: str) -> None:
    port = HeldPort()
    options = PhoneOptions(window=256, acknowledge="received" if acknowledge == "received" else "delivered")
    harness = await serve(SimulatedPhone(UDID, ports={7: port}, options=options))
    client = await harness.stream(7)
    stream = await port.stream()
    data = some_bytes(100_000)
    sending = asyncio.create_task(client.send(data))
    received = bytearray()
    windows = (256, 0, 65536, 512, 0, 131072)
    while len(received) < len(data):
        stream.set_window(windows[len(received) % len(windows)] or 256)
        received += await stream.read(len(received) % 977 + 1)
    assert bytes(received) == data
    await sending
    port.end()
    await harness.quiet()


async def test_phone_tells_of_its_open_window_only_when_asked_every_byte_arrives(serve: Serve) -> None:
    port = HeldPort()
    options = PhoneOptions(window=65536, acknowledge="received", announce_window=False)
    phone = SimulatedPhone(UDID, ports={7: port}, options=options)
    harness = await serve(phone, mux=MuxSettings(zero_window_probe_s=0.01, longest_zero_window_probe_s=0.02))
    client = await harness.stream(7)
    stream = await port.stream()
    data = some_bytes(MEBIBYTE // 2)
    sending = asyncio.create_task(client.send(data))
    assert await stream.readexactly(len(data)) == data
    await sending
    port.end()
    await harness.quiet()


async def test_echo_of_much_data_with_small_windows_does_not_lock_up(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}, options=PhoneOptions(window=1024, max_segment=700)))
    client = await harness.stream(7, is_slow=True)
    data = some_bytes(MEBIBYTE // 2)
    sending = asyncio.create_task(client.send(data))
    assert await client.receive_exactly(len(data)) == data
    await sending
    await harness.quiet()


@pytest.mark.parametrize(
    "options",
    [
        PhoneOptions(split_transfers=512),
        PhoneOptions(split_transfers=16384, join_transfers=True),
        PhoneOptions(split_transfers=4096, initial_sequence=0xFFFFFFFF),
        PhoneOptions(magic=0xFACEFACE, initial_sequence=0),
    ],
    ids=["512", "16384 joined", "4096 wrapping", "other magic"],
)
async def test_phone_cuts_transfers_anywhere_every_byte_arrives(serve: Serve, options: PhoneOptions) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}, options=options))
    client = await harness.stream(7)
    data = some_bytes(300_000)
    sending = asyncio.create_task(client.send(data))
    assert await client.receive_exactly(len(data)) == data
    await sending
    await harness.quiet()


async def test_client_gone_with_answers_unread_phone_that_answers_before_it_reads_on_gets_all(serve: Serve) -> None:
    received = bytearray()

    async def answer_at_length(stream: PhoneStream) -> None:
        while data := await stream.read(1000):
            received.extend(data)
            await stream.write(data * 20)

    harness = await serve(SimulatedPhone(UDID, ports={7: answer_at_length}, options=PhoneOptions(window=4096)))
    client = await harness.stream(7)
    data = some_bytes(100_000)
    await client.send(data)
    await turns(1000)
    assert len(received) < len(data)
    client.close()
    await until(lambda: len(received) == len(data))
    assert received == data
    await harness.quiet()
