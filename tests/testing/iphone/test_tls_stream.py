"""TLS on any stream, against the standard library's other end."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.testing.iphone.host import TestHost
from tests.testing.iphone.streams import ScriptedStream, SocketStream
from usbmux.errors import RemoteProtocolError
from usbmux.testing.iphone import TlsOptions
from usbmux.testing.iphone.certificates import shared_key
from usbmux.testing.iphone.tls_context import server_context
from usbmux.testing.iphone.tls_stream import TlsStream

pytestmark = pytest.mark.asyncio
HOST = TestHost()
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def context_with(options: TlsOptions | None = None) -> ssl.SSLContext:
    return server_context(HOST.record(shared_key().public_pem), shared_key(), options or TlsOptions())


@dataclass
class Connection:
    phone: TlsStream
    reader: asyncio.StreamReader
    """The host's."""
    writer: asyncio.StreamWriter
    wire: socket.socket
    """The host's end of what carries it."""


@asynccontextmanager
async def handshaken(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> AsyncIterator[Connection]:
    ours, theirs = socket.socketpair()
    client = HOST.context()
    client.minimum_version = client.maximum_version = version
    with theirs.dup() as wire:
        plain = await SocketStream.on(ours)
        async with asyncio.TaskGroup() as tasks:
            phone = tasks.create_task(TlsStream.accept(plain, context_with()))
            host = tasks.create_task(asyncio.open_connection(sock=theirs, ssl=client, server_hostname=""))
        reader, writer = host.result()
        try:
            yield Connection(phone.result(), reader, writer, wire)
        finally:
            writer.transport.abort()
            plain.writer.transport.abort()


@pytest.mark.parametrize("version", VERSIONS)
async def test_data_both_ways_at_once_arrives_unchanged(version: ssl.TLSVersion) -> None:
    sent = bytes(range(256)) * 4096
    async with handshaken(version) as connection:
        assert (
            connection.phone.version == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        )
        connection.writer.write(sent)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(connection.phone.write(sent))
            at_phone = tasks.create_task(connection.phone.readexactly(len(sent)))
            at_host = tasks.create_task(connection.reader.readexactly(len(sent)))
        assert (at_phone.result(), at_host.result()) == (sent, sent)


async def test_host_certificate_is_the_one_presented() -> None:
    async with handshaken() as connection:
        assert connection.phone.host_certificate == ssl.PEM_cert_to_DER_cert(HOST.host_certificate.decode())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("with_alert", [True, False])
async def test_read_after_the_host_has_ended_returns_the_rest_then_nothing(
    version: ssl.TLSVersion, with_alert: bool
) -> None:
    async with handshaken(version) as connection:
        connection.writer.write(b"last words")
        if with_alert:
            connection.writer.close()
        else:
            connection.wire.shutdown(socket.SHUT_WR)
        assert [await connection.phone.read(), await connection.phone.read(), await connection.phone.read()] == [
            b"last words",
            b"",
            b"",
        ]


async def test_readexactly_cut_short_raises_with_what_was_there() -> None:
    async with handshaken() as connection:
        connection.writer.write(b"abc")
        connection.writer.close()
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await connection.phone.readexactly(4)
        assert caught.value.partial == b"abc"


async def test_say_end_tells_the_host() -> None:
    async with handshaken() as connection:
        await connection.phone.write(b"bye")
        await connection.phone.say_end()
        assert await connection.reader.read() == b"bye"


async def test_accept_of_a_host_without_certificate_says_so_and_raises() -> None:
    ours, theirs = socket.socketpair()
    plain, client = await SocketStream.on(ours), HOST.context("none")
    client.maximum_version = ssl.TLSVersion.TLSv1_2  # in which the host waits for the answer
    host = asyncio.create_task(asyncio.open_connection(sock=theirs, ssl=client, server_hostname=""))
    with pytest.raises(RemoteProtocolError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        await TlsStream.accept(plain, context_with())
    plain.writer.close()
    with pytest.raises(ssl.SSLError, match="ALERT"):
        await host


async def test_accept_of_garbage_raises() -> None:
    with pytest.raises(RemoteProtocolError, match="TLS"):
        await TlsStream.accept(ScriptedStream(b"GET / HTTP/1.1\r\n\r\n"), context_with())


async def test_accept_of_a_stream_that_ends_raises() -> None:
    with pytest.raises(RemoteProtocolError, match="TLS"):
        await TlsStream.accept(ScriptedStream(b"\x16\x03\x01"), context_with())


async def test_read_of_garbage_inside_tls_raises() -> None:
    async with handshaken() as connection:
        connection.wire.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(RemoteProtocolError, match="TLS"):
            await connection.phone.read()
