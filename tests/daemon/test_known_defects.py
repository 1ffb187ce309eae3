"""What went wrong in this field before, where no other test shows it; the table is in docs/testing.md."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import OTHER_UDID, UDID, HeldPort, some_bytes, turns, until
from usbmux.daemon.pass_through import PassThrough
from usbmux.mux.session import SessionState
from usbmux.mux.settings import MuxSettings
from usbmux.testing import PhoneOptions, SimulatedPhone, echo, pattern, source

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon.conftest import Serve
    from usbmux.mux.segment import Segment

pytestmark = pytest.mark.asyncio

MEBIBYTE = 1 << 20
ENDLESS = 1 << 40


async def test_phone_resets_while_a_client_reads_nothing_another_phone_serves_and_nothing_is_lost(serve: Serve) -> None:
    count = 300_000  # more than the socket holds, and the rest fits the window
    phones = SimulatedPhone(UDID, ports={19: source}), SimulatedPhone(OTHER_UDID, ports={7: echo})
    harness = await serve(*phones)
    slow = await harness.stream(19, is_slow=True)
    await slow.send(count.to_bytes(8))
    await turns(200)
    quick = await harness.stream(7, device_id=2)
    for number in range(200):
        await quick.send(b"%d" % number)
        assert await quick.receive() == b"%d" % number
    assert await slow.receive_to_end() == pattern(count)
    await harness.quiet()


async def test_link_never_idle_every_connection_is_acknowledged_in_time(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port, 19: source}))
    busy = await harness.stream(19)
    await busy.send(ENDLESS.to_bytes(8))
    reading = asyncio.create_task(busy.receive_to_end())
    client = await harness.stream(7)
    stream = await port.stream()
    for _ in range(20):
        await stream.write(b"x")
        await asyncio.wait_for(stream.drain(), 10)
        assert await client.receive_exactly(1) == b"x"
    assert not reading.done()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    port.end()


async def test_download_in_small_packets_acknowledgements_are_few(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = SimulatedPhone(UDID, ports={19: source}, options=PhoneOptions(max_segment=1000))
    packets: list[int] = []
    count_packet = counting(phone.bulk_out, packets)
    monkeypatch.setattr(phone, "bulk_out", count_packet)
    harness = await serve(phone, mux=MuxSettings(acknowledge_delay_s=60))  # of a clock that does not matter here
    client = await harness.stream(19)
    before = len(packets)
    await client.send((4 * MEBIBYTE).to_bytes(8))
    assert await client.receive_to_end() == pattern(4 * MEBIBYTE)
    received = 4 * MEBIBYTE // 1000
    assert len(packets) - before < received / 10
    await harness.quiet()


async def test_phone_sends_beyond_our_window_only_that_connection_ends(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    window = 4096

    def overrun(segment: Segment) -> Segment:
        return segment._replace(payload=bytes(window + 1)) if segment.source_port == 9 and segment.payload else segment

    options = PhoneOptions(tamper=overrun)
    harness = await serve(
        SimulatedPhone(UDID, ports={7: echo, 9: echo}, options=options), mux=MuxSettings(receive_window=window)
    )
    good, bad = await harness.stream(7), await harness.stream(9)
    await bad.send(b"ping")
    assert await bad.receive_to_end() == b""
    assert "window overrun: room for 4096 bytes" in caplog.text
    data = some_bytes(50_000)
    sending = asyncio.create_task(good.send(data))
    assert await good.receive_exactly(len(data)) == data
    await sending


async def test_client_takes_little_at_a_time_what_waits_is_never_copied(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={19: source}))
    client = await harness.stream(19)
    (stream,) = [client.owner for client in harness.daemon.clients]
    assert isinstance(stream, PassThrough)
    stream._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # so it takes only parts of what it is given
    await client.send(MEBIBYTE.to_bytes(8))
    await turns(200)
    chunk = max(stream._backlog, key=len)
    partly_sent = 0
    while any(waiting is chunk or is_view_of(waiting, chunk) for waiting in stream._backlog):
        partly_sent += is_view_of(stream._backlog[0], chunk)
        await client.receive(1000)
        await turns(3)
    assert partly_sent


@pytest.mark.parametrize("length", [0, 3, 15, 65537, 0xFFFFFFFF])
async def test_phone_breaks_the_framing_clients_see_the_end_never_a_gap_and_phone_is_there_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    phone = SimulatedPhone(UDID, ports={7: echo, 19: source})
    senders: list[Callable[[bytes], None]] = []
    connected = phone.connected

    def remember(send: Callable[[bytes], None]) -> None:
        senders.append(send)
        connected(send)

    monkeypatch.setattr(phone, "connected", remember)
    harness = await serve(phone)
    client = await harness.stream(19)
    await client.send(ENDLESS.to_bytes(8))
    received = await client.receive_exactly(MEBIBYTE)
    senders[-1](struct.pack(">IIIHH", 6, length, 0, 0, 0))
    received += await client.receive_to_end()
    assert received == pattern(len(received))
    link = harness.daemon.registry.link(1)
    assert link is not None
    await until(lambda: link.session.state is SessionState.READY)
    again = await harness.stream(7)
    await again.send(b"ping")
    assert await again.receive_exactly(4) == b"ping"


def counting(call: Callable[[bytes], None], lengths: list[int]) -> Callable[[bytes], None]:
    def count(data: bytes) -> None:
        lengths.append(len(data))
        call(data)

    return count


def is_view_of(waiting: bytes | memoryview, chunk: bytes | memoryview) -> bool:
    return isinstance(waiting, memoryview) and waiting.obj is (chunk.obj if isinstance(chunk, memoryview) else chunk)
