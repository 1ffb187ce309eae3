"""Local ends that are not plain TCP ports, and what is counted at each."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from usbmux.client.aio import AsyncClient
from usbmux.control.address import TcpAddress, UnixAddress
from usbmux.errors import DeviceNotFoundError, PortRefusedError
from usbmux.relay.figures import Figures
from usbmux.relay.forwarder import Forwarder
from usbmux.relay.phone_row import PhoneRow
from usbmux.relay.route import HandedEnd, ListeningPort, Route
from usbmux.tls_front import TlsSettings, server_context

if TYPE_CHECKING:
    from tests.relay.scripted_daemon import ScriptedDaemon

pytestmark = pytest.mark.asyncio

_ANY = TcpAddress("127.0.0.1", 0)


async def _ask(forwarder: Forwarder, request: bytes, index: int = 0, context: ssl.SSLContext | None = None) -> bytes:
    """Send a request to a listening end and return as many bytes of the answer."""
    bound = forwarder.listening_ports[index].bound
    async with asyncio.timeout(10):
        if isinstance(bound, UnixAddress):
            reader, writer = await asyncio.open_unix_connection(bound.path)
        else:
            name = None if context is None else "localhost"
            reader, writer = await asyncio.open_connection(bound.host, bound.port, ssl=context, server_hostname=name)
        try:
            writer.write(request)
            return await reader.readexactly(len(request))
        finally:
            writer.close()


async def _until(forwarder: Forwarder, wanted: Figures, index: int = 0) -> None:
    async with asyncio.timeout(10):
        while forwarder.ends[index].figures != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_unix_socket_is_for_its_owner_alone_and_goes_with_the_forwarder(
    daemon: ScriptedDaemon, tmp_path: Path
) -> None:
    daemon.attach(1, "A")
    path = tmp_path / "ssh"
    async with Forwarder(AsyncClient(daemon.address), [Route(UnixAddress(str(path)), 7)]) as forwarder:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await _ask(forwarder, b"hello") == b"hello"
    assert not path.exists()


async def test_program_answers_at_the_unix_socket_forwarder_does_not_start_and_leaves_it(
    daemon: ScriptedDaemon, tmp_path: Path
) -> None:
    path = str(tmp_path / "ssh")
    client = AsyncClient(daemon.address)
    daemon.attach(1, "A")
    async with Forwarder(client, [Route(UnixAddress(path), 7)]) as first:
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="another program answers there"):
            async with Forwarder(client, [Route(_ANY, 7), Route(UnixAddress(path), 7)]):
                pass
        assert len(os.listdir("/proc/self/fd")) == before
        assert await _ask(first, b"hello") == b"hello"


async def test_handed_socket_is_listened_at_and_told_as_it_is_bound(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    handed = socket.create_server(("127.0.0.1", 0))
    port = handed.getsockname()[1]
    async with Forwarder(AsyncClient(daemon.address), [Route(HandedEnd("ssh", handed), 7)]) as forwarder:
        assert forwarder.listening_ports[0].bound == TcpAddress("127.0.0.1", port)
        assert await _ask(forwarder, b"hello") == b"hello"


async def test_figures_say_what_is_open_what_went_through_and_what_failed(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    routes = [Route(_ANY, 7), Route(_ANY, 10)]
    async with Forwarder(AsyncClient(daemon.address), routes, wait_s=0) as forwarder:
        assert forwarder.ends[0].figures == Figures()
        reader, writer = await asyncio.open_connection("127.0.0.1", forwarder.listening_ports[0].port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        await _until(forwarder, Figures(connections=1, open=1, bytes_to_device=5, bytes_to_local=5))
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await _until(forwarder, Figures(connections=1, bytes_to_device=5, bytes_to_local=5))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await _ask(forwarder, b"hello", 1)
        await _until(forwarder, Figures(failed=1), 1)


async def test_serves_once_first_connection_is_served_and_nothing_listens_any_more(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with Forwarder(AsyncClient(daemon.address), [Route(_ANY, 7)] * 2, serves_once=True) as forwarder:
        served = asyncio.ensure_future(forwarder.wait_served())
        reader, writer = await asyncio.open_connection("127.0.0.1", forwarder.listening_ports[0].port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        for listening in forwarder.listening_ports:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", listening.port)
        assert not served.done()
        writer.close()
        async with asyncio.timeout(10):
            await served


@pytest.mark.parametrize(("port", "error"), [(10, PortRefusedError), (7, DeviceNotFoundError)])
async def test_serves_once_port_is_not_reached_waiting_raises_why(
    daemon: ScriptedDaemon, port: int, error: type[Exception]
) -> None:
    if error is PortRefusedError:
        daemon.attach(1, "A")
    routes = [Route(_ANY, port)]
    async with Forwarder(AsyncClient(daemon.address), routes, serves_once=True, wait_s=0) as forwarder:
        _reader, writer = await asyncio.open_connection("127.0.0.1", forwarder.listening_ports[0].port)
        with pytest.raises(error):
            async with asyncio.timeout(10):
                await forwarder.wait_served()
        writer.close()


async def test_tls_certificate_is_asked_for_and_unix_sockets_need_none(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    daemon.attach(1, "A")
    ours, theirs = trustme.CA(), trustme.CA()
    certificate = ours.issue_cert("localhost")
    (tmp_path / "server.pem").write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(tmp_path / "server.key")
    theirs.cert_pem.write_to_path(tmp_path / "clients.pem")
    settings = TlsSettings(tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "clients.pem")
    known, unknown = (ssl.create_default_context() for _ in range(2))
    for context in (known, unknown):
        ours.configure_trust(context)
    theirs.issue_cert("program").configure_cert(known)
    routes = [Route(_ANY, 7), Route(UnixAddress(str(tmp_path / "ssh")), 7)]
    async with Forwarder(AsyncClient(daemon.address), routes, tls=server_context(settings)) as forwarder:
        assert await _ask(forwarder, b"hello", context=known) == b"hello"
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await _ask(forwarder, b"hello", context=unknown)
        assert await _ask(forwarder, b"hello", 1) == b"hello"
        assert forwarder.ends[0].figures.connections == 1


async def test_range_of_phones_each_end_leads_to_the_phone_that_has_its_place(daemon: ScriptedDaemon) -> None:
    async def name_of_first(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"!")

    daemon.ports[5] = name_of_first
    daemon.attach(1, "B")
    daemon.attach(2, "A")
    told: list[tuple[int, str]] = []

    def on_phone(end: ListeningPort, udid: str) -> None:
        told.append((end.route.place or 0, udid))

    row = PhoneRow(3)
    routes = [Route(_ANY, 5, place=place) for place in range(3)]
    async with Forwarder(AsyncClient(daemon.address), routes, row=row, on_phone=on_phone) as forwarder:
        assert [row.udid(place) for place in range(3)] == ["A", "B", None]
        await daemon.wait_listener()
        waiting = asyncio.create_task(_ask(forwarder, b"?", 2))
        await asyncio.sleep(0)
        daemon.attach(3, "0")
        assert await waiting == b"!"
        assert told == [(2, "0")]
        daemon.detach(2)
        daemon.attach(4, "A")
        assert await _ask(forwarder, b"?", 0) == b"!"
    assert [row.udid(place) for place in range(3)] == ["A", "B", "0"]


async def test_range_of_phones_daemon_comes_later_places_go_by_udid(daemon: ScriptedDaemon) -> None:
    await daemon.stop()
    row = PhoneRow(2)
    routes = [Route(_ANY, 7, place=place) for place in range(2)]
    async with Forwarder(AsyncClient(daemon.address), routes, row=row, wait_s=20) as forwarder:
        waiting = asyncio.create_task(_ask(forwarder, b"hello"))
        daemon.attach(1, "B")
        daemon.attach(2, "A")
        await daemon.start()
        assert await waiting == b"hello"
    assert [row.udid(place) for place in range(2)] == ["A", "B"]


async def test_range_of_phones_none_comes_connection_fails_when_the_wait_is_over(
    daemon: ScriptedDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    routes = [Route(_ANY, 7, place=0)]
    async with Forwarder(AsyncClient(daemon.address), routes, row=PhoneRow(1), wait_s=0) as forwarder:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await _ask(forwarder, b"hello")
    assert "no phone has come for this port" in caplog.text


def _link_local_address() -> str:
    """One of this computer that is good on one network only."""
    lines = Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines() if socket.has_ipv6 else []
    for digits, _index, _prefix, scope, _flags, network in map(str.split, lines):
        if scope == "20":
            return f"{ipaddress.IPv6Address(int(digits, 16))}%{network}"
    pytest.skip("this computer has no link-local address")


async def test_address_is_good_on_one_network_only_it_is_listened_at_there(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    local = TcpAddress(_link_local_address(), 0)
    async with Forwarder(AsyncClient(daemon.address), [Route(local, 7)]) as forwarder:
        assert forwarder.listening_ports[0].address.startswith(local.host.partition("%")[0] + "%")
        assert await _ask(forwarder, b"hello") == b"hello"


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a..b"])
async def test_name_means_no_address_the_error_names_it(daemon: ScriptedDaemon, host: str) -> None:
    with pytest.raises(OSError, match=f"cannot listen at {host}:2222: "):
        async with Forwarder(AsyncClient(daemon.address), [Route(TcpAddress(host, 2222), 7)]):
            pass
