"""Clients of other computers: only over TLS, and only with a certificate of ours."""

from __future__ import annotations

import asyncio
import datetime
import errno
import os
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
import trustme

from tests.daemon.harness import UDID, Harness, connect_request, encode, some_bytes, until
from usbmux import tls_front
from usbmux.control.address import TcpAddress
from usbmux.daemon.admission import ClientLimits
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.policy import Permission, Rule
from usbmux.daemon.tls import check_exposure
from usbmux.errors import ConfigurationError
from usbmux.testing import SimulatedPhone, echo
from usbmux.tls_front import TlsSettings, server_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio

PATIENCE_S = 30.0
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Site:
    """A daemon behind TLS, and who has signed what."""

    harness: Harness
    servers: trustme.CA
    clients: trustme.CA

    def context(self, certificate: trustme.LeafCert | None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.servers.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return context

    async def dial(self, certificate: trustme.LeafCert | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TLS connection; a client that is refused learns it at the first read at the latest."""
        context, address = self.context(certificate), self.harness.daemon.addresses[0]
        assert isinstance(address, TcpAddress)
        return await asyncio.open_connection(address.host, address.port, ssl=context, server_hostname="localhost")


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    servers, clients = trustme.CA(), trustme.CA()
    settings = write(tmp_path, servers.issue_cert("localhost"), clients)
    harness = Harness(tmp_path, [SimulatedPhone(UDID, ports={7: echo})])
    await harness.start(listen=[ListenSettings(TcpAddress("127.0.0.1", 0), tls=settings)])
    await harness.attached()
    yield Site(harness, servers, clients)
    await until(lambda: harness.daemon.client_count == 0)
    await harness.stop()


def write(folder: Path, certificate: trustme.LeafCert, clients: trustme.CA) -> TlsSettings:
    settings = TlsSettings(folder / "certificate.pem", folder / "key.pem", folder / "clients.pem")
    certificate.cert_chain_pems[0].write_to_path(settings.certificate)
    certificate.private_key_pem.write_to_path(settings.key)
    clients.cert_pem.write_to_path(settings.client_ca)
    return settings


async def end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()


async def test_client_with_our_certificate_is_served(site: Site) -> None:
    data = some_bytes(1 << 20)
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await site.dial(site.clients.issue_cert("lab"))
        writer.write(connect_request(1, 7))
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "little") - 4)
        assert b"<integer>0</integer>" in answer
        sending = asyncio.create_task(send(writer, data))
        assert await reader.readexactly(len(data)) == data
        await sending
        await end(writer)


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def ask(site: Site, certificate: trustme.LeafCert | None) -> None:
    reader, writer = await site.dial(certificate)
    try:
        writer.write(encode({"MessageType": "ListDevices"}, 1))
        await reader.readexactly(1)
    finally:
        await end(writer)


async def refused(site: Site, certificate: trustme.LeafCert | None) -> None:
    """The connection ends without an answer."""
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises((OSError, ssl.SSLError, asyncio.IncompleteReadError)):
            await ask(site, certificate)
    assert site.harness.daemon.client_count == 0


async def test_client_without_certificate_is_refused(site: Site) -> None:
    await refused(site, None)


async def test_client_of_another_authority_is_refused(site: Site) -> None:
    await refused(site, trustme.CA().issue_cert("lab"))


async def test_client_signed_by_the_servers_authority_is_refused(site: Site) -> None:
    await refused(site, site.servers.issue_cert("lab"))


async def test_client_whose_certificate_has_expired_is_refused(site: Site) -> None:
    await refused(site, site.clients.issue_cert("lab", not_before=LONG_AGO, not_after=LONG_AGO.replace(year=2021)))


async def test_server_of_another_name_or_authority_is_not_trusted(site: Site) -> None:
    address = site.harness.daemon.addresses[0]
    assert isinstance(address, TcpAddress)
    for context, name in ((ssl.create_default_context(), "localhost"), (ssl.create_default_context(), "elsewhere")):
        if name == "elsewhere":
            site.servers.configure_trust(context)
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(address.host, address.port, ssl=context, server_hostname=name)


async def test_plain_client_is_refused(site: Site) -> None:
    address = site.harness.daemon.addresses[0]
    assert isinstance(address, TcpAddress)
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(encode({"MessageType": "ListDevices"}, 1))
        with suppress(ConnectionResetError):
            assert b"DeviceList" not in await reader.read()
        await end(writer)


async def test_client_does_not_shake_hands_it_is_closed_and_others_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_front, "HANDSHAKE_TIMEOUT_S", 0.1)
    servers, clients = trustme.CA(), trustme.CA()
    settings = write(tmp_path, servers.issue_cert("localhost"), clients)
    harness = Harness(tmp_path, [])
    await harness.start(listen=[ListenSettings(TcpAddress("127.0.0.1", 0), tls=settings)])
    address = harness.daemon.addresses[0]
    assert isinstance(address, TcpAddress)
    with socket.create_connection((address.host, address.port)) as silent:
        silent.setblocking(False)
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.get_running_loop().sock_recv(silent, 1) == b""
    await harness.stop()


async def test_clients_that_shake_hands_are_too_many_the_next_is_closed_and_they_are_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_front, "MAX_HANDSHAKES", 1)
    address = site.harness.daemon.addresses[0]
    assert isinstance(address, TcpAddress)
    where = (address.host, address.port)
    with socket.create_connection(where) as silent, socket.create_connection(where) as late:
        silent.setblocking(False)
        late.setblocking(False)
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.get_running_loop().sock_recv(late, 1) == b""
        with pytest.raises(BlockingIOError):
            silent.recv(1)
    await until(lambda: not site.harness.daemon._fronts[0]._handshakes)
    await ask(site, site.clients.issue_cert("lab"))


async def test_no_descriptor_is_left_for_a_client_it_is_closed_and_the_next_is_served(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left() -> tuple[socket.socket, socket.socket]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socketpair", none_left)
        reader, writer = await site.dial(site.clients.issue_cert("client"))
        async with asyncio.timeout(PATIENCE_S):
            with suppress(OSError):  # a reset is an end as well
                assert await reader.read() == b""
        await end(writer)
    await ask(site, site.clients.issue_cert("lab"))


async def test_client_still_sends_when_the_phone_has_closed_it_gets_everything(site: Site) -> None:
    data = some_bytes(400_000)
    site.harness.phones[0].add_port(8, lambda stream: stream.write(data))
    context, address = site.context(site.clients.issue_cert("lab")), site.harness.daemon.addresses[0]
    assert isinstance(address, TcpAddress)

    def answer_to_a_client_that_reads_slowly() -> bytes:
        """In a thread, as asyncio's client reads more than it is asked for."""
        received = bytearray()
        plain = socket.create_connection((address.host, address.port))
        with context.wrap_socket(plain, server_hostname="localhost") as sock:
            sock.sendall(connect_request(1, 8))
            while piece := sock.recv(8192):
                received += piece
                time.sleep(0.002)
                with suppress(OSError):
                    sock.sendall(b"still here")
        return bytes(received)

    async with asyncio.timeout(PATIENCE_S):
        received = await asyncio.to_thread(answer_to_a_client_that_reads_slowly)
    assert received[int.from_bytes(received[:4], "little") :] == data


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_client_ends_its_connection_it_is_told_the_same(site: Site, version: ssl.TLSVersion) -> None:
    context, address = site.context(site.clients.issue_cert("lab")), site.harness.daemon.addresses[0]
    assert isinstance(address, TcpAddress)
    context.maximum_version = version

    def end_after_an_answer() -> None:
        """In a thread, as asyncio's client does not say whether it was told."""
        plain = socket.create_connection((address.host, address.port), timeout=PATIENCE_S)
        with context.wrap_socket(plain, server_hostname="localhost") as sock:
            sock.sendall(encode({"MessageType": "ListDevices"}, 1))
            left = int.from_bytes(sock.recv(4), "little") - 4
            while left:
                left -= len(sock.recv(left))
            sock.unwrap().close()

    await asyncio.to_thread(end_after_an_answer)


async def test_client_over_tls_counts_as_three_from_the_handshake_to_its_end(site: Site) -> None:
    site.harness.daemon.reconfigure([], ClientLimits(total=4))
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await site.dial(site.clients.issue_cert("lab"))
        writer.write(encode({"MessageType": "Listen"}, 1))
        await reader.readexactly(1)
        with pytest.raises((OSError, ssl.SSLError, asyncio.IncompleteReadError)):
            await ask(site, site.clients.issue_cert("lab"))
        assert site.harness.daemon.client_count == 1
        await end(writer)
    await until(lambda: not site.harness.daemon._admission.total)
    await ask(site, site.clients.issue_cert("lab"))


async def test_daemon_ends_streams_end_and_nothing_is_left(site: Site) -> None:
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await site.dial(site.clients.issue_cert("lab"))
        writer.write(encode({"MessageType": "Listen"}, 1))
        await reader.readexactly(1)
        await site.harness.daemon.close()
        with suppress(OSError, ssl.SSLError):
            await reader.read()
        await end(writer)


async def test_client_over_tls_is_nobody_in_particular(tmp_path: Path) -> None:
    """The plain socket behind TLS is connected by the daemon itself, whose rights the client must not get."""
    servers, clients = trustme.CA(), trustme.CA()
    settings = write(tmp_path, servers.issue_cert("localhost"), clients)
    harness = Harness(tmp_path, [SimulatedPhone(UDID)])
    rules = [Rule(Permission(), uids=frozenset({os.getuid()}))]
    await harness.start(listen=[ListenSettings(TcpAddress("127.0.0.1", 0), tls=settings)], rules=rules)
    await harness.attached()
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await Site(harness, servers, clients).dial(clients.issue_cert("lab"))
        writer.write(encode({"MessageType": "ListDevices"}, 1))
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "little") - 4)
        assert UDID.encode() not in answer
        await end(writer)
    await until(lambda: harness.daemon.client_count == 0)
    await harness.stop()


@pytest.mark.parametrize("missing", ["certificate", "key", "client_ca"])
async def test_file_missing_or_wrong_is_said_at_the_start(tmp_path: Path, missing: str) -> None:
    settings = write(tmp_path, trustme.CA().issue_cert("localhost"), trustme.CA())
    getattr(settings, missing).write_text("nonsense")
    with pytest.raises(ConfigurationError, match=r"cannot use .* for TLS"):
        server_context(settings)
    getattr(settings, missing).unlink()
    with pytest.raises(ConfigurationError, match=r"cannot use .* for TLS"):
        server_context(settings)


@pytest.mark.parametrize(
    ("host", "is_fine"),
    [
        *[(host, True) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")],
        *[(host, False) for host in ("0.0.0.0", "::", "192.168.1.1", "phones.example", "", "::ffff:0.0.0.0")],
    ],
)
async def test_plain_tcp_only_on_loopback(host: str, is_fine: bool) -> None:
    if is_fine:
        check_exposure(ListenSettings(TcpAddress(host, 27015)))
        return
    with pytest.raises(ConfigurationError, match="other computers"):
        check_exposure(ListenSettings(TcpAddress(host, 27015)))
