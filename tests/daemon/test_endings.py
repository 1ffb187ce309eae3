"""Nothing is lost when something ends (T12 to T14, T17)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import UDID, HeldPort, connect_request, some_bytes, turns, until
from usbmux import farewell
from usbmux.control.address import Address, TcpAddress
from usbmux.daemon import pass_through
from usbmux.daemon.admission import ClientLimits
from usbmux.mux.settings import MuxSettings
from usbmux.testing import PhoneOptions, PhoneStream, SimulatedPhone, digest, echo, pattern, source

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve
    from usbmux.mux.segment import Segment

UNIX: tuple[Address, ...] = ()
TCP: tuple[Address, ...] = (TcpAddress("127.0.0.1", 0),)
both_families = pytest.mark.parametrize("addresses", [UNIX, TCP], ids=["unix", "tcp"])
MEBIBYTE = 1 << 20
WINDOW = 131072
PROMPT = MuxSettings(linger_s=0.05)

pytestmark = pytest.mark.asyncio


@both_families
async def test_stream_client_closes_at_once_everything_reaches_phone(
    serve: Serve, addresses: tuple[Address, ...]
) -> None:
    received = bytearray()
    ended = asyncio.Event()

    async def collect(stream: PhoneStream) -> None:
        while data := await stream.read(1000):
            received.extend(data)
        ended.set()

    harness = await serve(SimulatedPhone(UDID, ports={7: collect}), addresses=addresses)
    client = await harness.stream(7)
    data = some_bytes(MEBIBYTE)
    await client.send(data)
    client.close() if addresses is UNIX else client.shut_down_writing()
    await until(lambda: len(received) == len(data))
    assert bytes(received) == data
    client.close()
    harness.phones[0].remove_port(7)
    if addresses is UNIX:
        await asyncio.wait_for(ended.wait(), 5)
        await harness.quiet()


@both_families
async def test_stream_client_half_closes_answer_still_arrives(serve: Serve, addresses: tuple[Address, ...]) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={99: digest}), addresses=addresses)
    client = await harness.stream(99)
    data = some_bytes(MEBIBYTE)
    await client.send(len(data).to_bytes(8) + data)
    client.shut_down_writing()
    assert await client.receive_to_end() == hashlib.sha256(data).digest()
    await harness.quiet()


@both_families
async def test_stream_phone_resets_with_unread_data_slow_client_gets_all_then_the_end(
    serve: Serve, addresses: tuple[Address, ...]
) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={19: source}), addresses=addresses)
    client = await harness.stream(19, is_slow=True)
    count = 3 * MEBIBYTE
    await client.send(count.to_bytes(8))
    await turns(500)
    received = bytearray()
    while piece := await client.receive(50_000):
        received += piece
        await turns(2)
    assert bytes(received) == bytes(pattern(count))
    await harness.quiet()


async def test_stream_half_closed_and_phone_silent_longer_than_linger_is_reset(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}), mux=PROMPT)
    client = await harness.stream(7)
    stream = await port.stream()
    client.shut_down_writing()
    assert await client.receive_to_end() == b""
    await until(lambda: stream.is_closed)
    await harness.quiet()


async def test_stream_half_closed_and_phone_sends_now_and_then_linger_starts_anew(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}), mux=MuxSettings(linger_s=0.6))
    client = await harness.stream(7)
    stream = await port.stream()
    client.shut_down_writing()
    for _ in range(4):
        await asyncio.sleep(0.2)  # longer in all, and far less each time: real time is what the rule is about
        await stream.write(b"on")
        assert await client.receive_exactly(2) == b"on"
    port.end()
    assert await client.receive_to_end() == b""
    await harness.quiet()


async def test_stream_not_ended_and_silent_longer_than_linger_stays(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}), mux=PROMPT)
    client = await harness.stream(7)
    await asyncio.sleep(0.2)  # four linger times
    await client.send(b"still there")
    assert await client.receive_exactly(11) == b"still there"
    client.close()
    await harness.quiet()


async def test_stream_client_killed_while_phone_takes_nothing_rest_is_delivered_later(serve: Serve) -> None:
    port = HeldPort()
    phone = SimulatedPhone(UDID, ports={7: port}, options=PhoneOptions(window=4096))
    harness = await serve(phone)
    client = await harness.stream(7)
    stream = await port.stream()
    data = some_bytes(100_000)
    await client.send(data)
    client.close()
    await turns()
    assert await stream.readexactly(len(data)) == data
    assert await stream.read() == b""
    port.end()
    await harness.quiet()


async def test_stream_client_killed_and_phone_never_takes_input_is_reset_after_linger(serve: Serve) -> None:
    port = HeldPort()
    phone = SimulatedPhone(UDID, ports={7: port}, options=PhoneOptions(window=4096))
    harness = await serve(phone, mux=PROMPT)
    client = await harness.stream(7)
    stream = await port.stream()
    await client.send(bytes(100_000))
    client.close()
    await until(lambda: stream.is_closed)
    port.end()
    await harness.quiet()


async def test_stream_client_killed_and_phone_sends_but_does_not_read_yet_input_is_kept(serve: Serve) -> None:
    port = HeldPort()
    phone = SimulatedPhone(UDID, ports={7: port}, options=PhoneOptions(window=4096))
    harness = await serve(phone, mux=MuxSettings(linger_s=0.2))
    client = await harness.stream(7)
    stream = await port.stream()
    data = some_bytes(50_000)
    await client.send(data)
    client.close()
    for _ in range(6):
        await asyncio.sleep(0.1)  # three linger times, in which bytes move towards us only (T14)
        await stream.write(bytes(WINDOW))
    assert await stream.readexactly(len(data)) == data
    port.end()
    await harness.quiet()


@both_families
async def test_half_closed_client_gone_while_packets_arrive_together_connection_ends(
    serve: Serve, addresses: tuple[Address, ...]
) -> None:
    port = HeldPort()
    phone = SimulatedPhone(UDID, ports={7: port}, options=PhoneOptions(join_transfers=True, max_segment=1000))
    harness = await serve(phone, addresses=addresses)
    client = await harness.stream(7)
    stream = await port.stream()
    client.shut_down_writing()
    await turns()
    client.close()
    for _ in range(100):
        if not stream.is_closed:
            await _write_unless_reset(stream, bytes(5000))
        await turns(5)
    assert stream.is_closed
    port.end()
    await harness.quiet()


async def test_stream_client_gone_while_phone_waits_for_its_window_phone_goes_on(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={19: source}))
    client = await harness.stream(19)
    await client.send((3 * MEBIBYTE).to_bytes(8))
    await turns()
    client.close()
    await harness.quiet()


async def test_stream_phone_unplugged_with_unread_data_client_gets_it_then_the_end(serve: Serve) -> None:
    phone = SimulatedPhone(UDID, ports={19: source})
    harness = await serve(phone)
    client = await harness.stream(19, is_slow=True)
    await client.send((2 * MEBIBYTE).to_bytes(8))
    await turns(1000)
    harness.bus.unplug(phone)
    await harness.attached(0)
    received = await client.receive_to_end()
    assert len(received) >= WINDOW
    assert received == bytes(pattern(len(received)))
    await harness.quiet()


async def test_stream_phone_resets_while_client_sends_client_sees_end_of_file(serve: Serve) -> None:
    port = HeldPort()
    phone = SimulatedPhone(UDID, ports={7: port}, options=PhoneOptions(window=4096))
    harness = await serve(phone)
    client = await harness.stream(7)
    stream = await port.stream()
    await client.send(bytes(100_000))
    await stream.write(b"enough")
    stream.reset()
    assert await client.receive_to_end() == b"enough"
    port.end()
    await harness.quiet()


async def test_slow_tcp_client_keeps_sending_after_reset_still_gets_everything(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farewell, "FAREWELL_S", 0.1)
    harness = await serve(SimulatedPhone(UDID, ports={19: source}), addresses=TCP)
    client = await harness.stream(19, is_slow=True)
    count = MEBIBYTE
    await client.send(count.to_bytes(8))
    for _ in range(10):
        await asyncio.sleep(0.05)  # longer than the farewell in all
        await client.send(b"still talking")
    assert await client.receive_exactly(count) == bytes(pattern(count))
    client.close()
    await harness.quiet()


async def test_system_without_sendmsg_slow_client_gets_everything(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_through, "_send_together", pass_through._join_and_send)
    harness = await serve(SimulatedPhone(UDID, ports={19: source}), addresses=TCP)
    client = await harness.stream(19, is_slow=True)
    await client.send(MEBIBYTE.to_bytes(8))
    assert await client.receive_exactly(MEBIBYTE) == bytes(pattern(MEBIBYTE))
    client.close()
    await harness.quiet()


async def test_flooding_tcp_client_after_reset_does_not_hold_up_the_daemon(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farewell, "FAREWELL_S", 0.1)
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}), addresses=TCP)
    client = await harness.stream(7)
    stream = await port.stream()
    flooding = asyncio.create_task(asyncio.to_thread(_flood, client.sock.dup()))
    await turns()
    stream.reset()
    await asyncio.wait_for(flooding, 5)
    port.end()
    await harness.quiet()


async def test_client_writes_before_it_reads_and_the_phone_resets_it_can_do_both(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}, options=PhoneOptions(window=4096)))
    client = await harness.stream(7)
    stream = await port.stream()
    talking = asyncio.create_task(_write_unless_reset(stream, bytes(pattern(MEBIBYTE))))
    await turns(1000)
    writing = asyncio.create_task(client.send(bytes(4 * MEBIBYTE)))
    await turns()
    stream.reset()
    await writing
    await talking
    received = await client.receive_to_end()
    assert len(received) >= WINDOW
    assert received == bytes(pattern(len(received)))
    port.end()
    await harness.quiet()


async def test_client_ends_its_reading_only_it_goes_on_writing(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}), mux=PROMPT)
    client = await harness.stream(7)
    stream = await port.stream()
    client.sock.shutdown(socket.SHUT_RD)
    await stream.write(b"nobody reads this")
    await asyncio.sleep(0.3)  # six linger times
    await client.send(b"still here")
    assert await stream.read(100) == b"still here"
    client.close()
    port.end()
    await harness.quiet()


async def test_client_is_gone_and_the_phone_still_acknowledges_it_gets_the_rest(serve: Serve) -> None:
    edge, received, ended = 65536, bytearray(), asyncio.Event()

    def shrink(segment: Segment) -> Segment:
        """The phone's window ends where it did, however much it takes."""
        return segment._replace(window=max(edge + 1 - segment.ack, 0))

    async def take_slowly(stream: PhoneStream) -> None:
        nonlocal edge
        while data := await stream.read(8192):
            received.extend(data)
            await asyncio.sleep(0.03 if len(received) < 65536 else 0)  # seven times; the linger time is 0.05
            edge = 65536 if len(received) < 57344 else 1 << 20
        ended.set()

    options = PhoneOptions(tamper=shrink)
    harness = await serve(SimulatedPhone(UDID, ports={7: take_slowly}, options=options), mux=PROMPT)
    client = await harness.stream(7)
    data = some_bytes(2 * 65536)
    await client.send(data)
    client.close()
    await asyncio.wait_for(ended.wait(), 5)
    assert bytes(received) == data
    await harness.quiet()


async def test_stream_tcp_client_resets_and_phone_is_silent_is_over_at_once(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}), addresses=TCP)
    client = await harness.stream(7)
    await port.stream()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    await harness.quiet()
    port.end()


async def test_connect_and_half_close_in_one_write_both_take_effect(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={99: digest}))
    await harness.attached()
    client = await harness.client()
    data = some_bytes(1000)
    await client.send(connect_request(1, 99) + len(data).to_bytes(8) + data)
    client.shut_down_writing()
    await client.expect_result(0)
    assert await client.receive_to_end() == hashlib.sha256(data).digest()
    await harness.quiet()


async def test_client_leaves_unread_what_the_phone_sent_before_it_closed_it_counts_until_it_is_gone(
    serve: Serve,
) -> None:
    """Its socket stays open, and there must be some for others."""

    async def talk(stream: PhoneStream) -> None:
        await stream.write(bytes(300_000))

    harness = await serve(SimulatedPhone(UDID, ports={7: talk}), addresses=TCP)
    harness.daemon.reconfigure([], ClientLimits(total=1))
    client = await harness.stream(7, is_slow=True)
    await until(lambda: not harness.daemon.client_count)
    refused = await harness.client()
    assert await refused.receive() == b""

    client.close()
    await until(lambda: not harness.daemon._admission.total)
    assert await (await harness.client()).request({"MessageType": "ListDevices"})


async def _write_unless_reset(stream: PhoneStream, data: bytes) -> None:
    with contextlib.suppress(ConnectionResetError):
        await stream.write(data)


def _flood(sock: socket.socket) -> None:
    """Send as fast as possible until the other side has had enough."""
    sock.setblocking(True)
    with sock:
        try:
            while True:
                sock.sendall(bytes(1 << 20))
        except OSError:
            pass
