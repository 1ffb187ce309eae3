"""The handlers that come with the simulated phone, down to real servers behind it."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.testing.host_script import HostConnection, HostScript, plug_in
from usbmux.errors import AddressError
from usbmux.mux.segment import Flags
from usbmux.testing import (
    PortHandler,
    SimulatedPhone,
    digest,
    discard,
    echo,
    http,
    named,
    pattern,
    source,
    tcp_endpoint,
    unix_endpoint,
)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
MEGABYTE = 1 << 20


async def dial(handler: PortHandler, version: int = 2) -> tuple[SimulatedPhone, HostScript, HostConnection]:
    phone = SimulatedPhone(ports={5: handler}, version=version)
    host = await plug_in(phone)
    return phone, host, await host.connect(5)


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[PortHandler]:
    """The endpoint of a server on a loopback port."""
    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield tcp_endpoint("127.0.0.1", listener.sockets[0].getsockname()[1])


@pytest.mark.asyncio
@pytest.mark.parametrize("version", [1, 2])
async def test_echo_returns_everything(version: int) -> None:
    phone, _, connection = await dial(echo, version)
    data = bytes(pattern(100_000))
    await connection.send(data)
    assert await connection.read(len(data)) == data
    assert phone.violations == []


@pytest.mark.asyncio
async def test_http_answers_when_the_request_is_whole_and_ends() -> None:
    phone, _, connection = await dial(http)
    await connection.send(b"GET /a HTTP/1.1\r\nHost: x\r\n")
    await connection.send(b"\r\n")
    body = b"hello from the phone: GET /a HTTP/1.1\n"
    head = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert (await connection.read_to_reset())[0] == head + body
    assert phone.violations == []


@pytest.mark.asyncio
async def test_http_request_without_end_is_not_kept() -> None:
    _, _, connection = await dial(http)
    await connection.send(bytes(MEGABYTE // 8))
    assert (await connection.read_to_reset())[0] == b""


@pytest.mark.asyncio
async def test_discard_takes_more_than_its_window_and_answers_nothing() -> None:
    phone, host, connection = await dial(discard)
    await connection.send(bytes(MEGABYTE))
    connection.reset()
    assert all(len(packet.payload) == 20 for packet in await host.idle())
    assert phone.violations == []


@pytest.mark.asyncio
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("length", [0, 1, 4 * MEGABYTE + 1])
async def test_source_sends_the_pattern_and_resets(version: int, length: int) -> None:
    phone, _, connection = await dial(source, version)
    await connection.send(length.to_bytes(8))
    assert await connection.read_to_reset() == (pattern(length), b"")
    assert phone.violations == []


@pytest.mark.asyncio
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("length", [0, 1, 4 * MEGABYTE + 1])
async def test_digest_answers_sha256_and_resets(version: int, length: int) -> None:
    phone, _, connection = await dial(digest, version)
    data = bytes(pattern(length))
    await connection.send(length.to_bytes(8) + data)
    assert await connection.read_to_reset() == (hashlib.sha256(data).digest(), b"")
    assert phone.violations == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("handler", "sent"), [(source, bytes(3)), (digest, bytes(3)), (digest, bytes(7) + b"\x09x")])
async def test_host_reset_inside_the_request_ends_quietly(handler: PortHandler, sent: bytes) -> None:
    phone, host, connection = await dial(handler)
    await connection.send(sent)
    connection.reset()
    assert all(packet.payload[13] == Flags.ACK for packet in await host.idle())
    assert phone.violations == []


def test_pattern_is_one_stream_from_any_offset() -> None:
    whole = bytes(pattern(MEGABYTE))
    assert len(whole) == MEGABYTE
    for offset, length in ((0, 10), (65520, 3), (65521, 300_000), (500_000, 262_144)):
        assert pattern(length, offset) == whole[offset : offset + length]
    assert len(set(whole[start : start + 16] for start in range(0, 65520, 16))) == 4095


@pytest.mark.asyncio
async def test_tcp_endpoint_carries_both_ways_until_the_server_closes() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readexactly(300_000)).upper())
        writer.close()

    async with server(shout) as endpoint:
        phone, _, connection = await dial(endpoint)
        await connection.send(b"abc" * 100_000)
        assert await connection.read_to_reset() == (b"ABC" * 100_000, b"")
        assert phone.violations == []


@pytest.mark.asyncio
async def test_tcp_endpoint_server_shuts_down_writing_phone_resets() -> None:
    closed = asyncio.Event()

    async def say_bye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        closed.set()

    async with server(say_bye) as endpoint:
        _, _, connection = await dial(endpoint)
        assert await connection.read_to_reset() == (b"bye", b"")
        await closed.wait()


@pytest.mark.asyncio
async def test_tcp_endpoint_host_reset_server_gets_everything_then_the_end() -> None:
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"chatter" * 1000)
        received.set_result(await reader.read())
        writer.close()

    async with server(collect) as endpoint:
        phone, _, connection = await dial(endpoint)
        data = bytes(pattern(MEGABYTE))
        await connection.send(data)
        connection.reset()
        assert await received == data
        assert phone.violations == []


@pytest.mark.asyncio
async def test_tcp_endpoint_server_that_reads_nothing_stops_the_host() -> None:
    release = asyncio.Event()
    received: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        received.set_result(len(await reader.readexactly(16 * MEGABYTE)))
        writer.close()

    async with server(stall) as endpoint:
        _, host, connection = await dial(endpoint)
        sending = asyncio.ensure_future(connection.send(bytes(16 * MEGABYTE)))
        await connection.wait_stalled()
        assert not sending.done()
        release.set()
        await sending
        assert await received == 16 * MEGABYTE
        await host.idle()


@pytest.mark.asyncio
async def test_tcp_endpoint_without_server_is_refused() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        host = await plug_in(SimulatedPhone(ports={5: tcp_endpoint("127.0.0.1", bound.getsockname()[1])}))
        host.send_syn(5)
        answer = await host.next_segment()
    assert (answer.flags, answer.ack) == (Flags.RST, 1)
    assert b"Connect call failed" in bytes(answer.payload)


@pytest.mark.asyncio
async def test_unix_endpoint_carries_both_ways(tmp_path: Path) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        writer.close()

    path = str(tmp_path / "server")
    async with await asyncio.start_unix_server(reply, path):
        for handler in (unix_endpoint(path), named(f"unix:{path}")):
            _, _, connection = await dial(handler)
            await connection.send(b"ping")
            assert await connection.read_to_reset() == (b"ping", b"")


@pytest.mark.asyncio
async def test_unplug_with_a_stalled_server_lets_go_of_it() -> None:
    gone = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(16 * MEGABYTE))
        with pytest.raises(ConnectionResetError):
            await writer.drain()
        gone.set()
        writer.close()

    async with server(stall) as endpoint:
        _, host, connection = await dial(endpoint)
        await connection.receive_segment()
        await host.pipe.close()
        await gone.wait()


def test_named_knows_words_and_addresses() -> None:
    assert named("echo") is echo
    assert named("digest") is digest
    assert callable(named("127.0.0.1:2222"))


def test_named_other_text_is_an_error_that_lists_the_words() -> None:
    with pytest.raises(
        AddressError, match="'ecko' is neither one of digest, discard, echo, http, source nor an address"
    ):
        named("ecko")
