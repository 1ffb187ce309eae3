"""Who asks over HTTP gets the figures, and nothing that it does costs the daemon more than a bounded connection."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import PATIENCE_S, RawClient, open_descriptors, turns, until
from usbmux.control.address import TcpAddress, UnixAddress
from usbmux.daemon import log_budget, metrics_server
from usbmux.daemon.complaints import Complaints
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.metrics_server import MAX_CLIENTS, MAX_REQUEST_LENGTH, MetricsServer
from usbmux.daemon.server import Daemon
from usbmux.daemon.settings import DaemonSettings
from usbmux.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.daemon.conftest import Serve

pytestmark = pytest.mark.asyncio

GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def test_socket_is_for_the_owner_alone_and_goes_with_the_daemon(serve: Serve) -> None:
    harness = await serve()
    assert harness.daemon.metrics_address == harness.metrics_address
    mode = os.stat(harness.metrics_address.path).st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    await harness.stop()
    with pytest.raises(FileNotFoundError):
        os.stat(harness.metrics_address.path)


async def test_figures_are_asked_for_they_come_with_their_type_and_length_and_the_end(serve: Serve) -> None:
    harness = await serve()
    client = await harness.metrics()
    await client.send(GET)
    head, _, body = (await client.receive_to_end()).partition(b"\r\n\r\n")
    assert head.decode().split("\r\n") == [
        "HTTP/1.1 200 OK",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "Cache-Control: no-store",
        "Content-Type: text/plain; version=0.0.4; charset=utf-8",
    ]
    assert body.endswith(b"\n")
    await harness.quiet()


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (GET, "200 OK"),
        (b"GET /metrics?name[]=usbmux_phones HTTP/1.0\r\n\r\n", "200 OK"),
        (b"GET http://localhost:9100/metrics HTTP/1.1\r\n\r\n", "200 OK"),
        (GET + b"GET / HTTP/1.1\r\n\r\n", "200 OK"),
        (b"GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        (b"GET /metrics/../etc HTTP/1.1\r\n\r\n", "404 Not Found"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405 Method Not Allowed"),
        (b"GET /metrics\r\n\r\n", "400 Bad Request"),
        (b"GET /metrics HTTP/2\r\n\r\n", "400 Bad Request"),
        (b"GET http://[/metrics HTTP/1.1\r\n\r\n", "400 Bad Request"),
        (b"GET /m\xff HTTP/1.1\r\n\r\n", "400 Bad Request"),
        (b"\r\n\r\n", "400 Bad Request"),
        (b"GET /metrics HTTP/1.1\r\n" + b"X" * MAX_REQUEST_LENGTH + b"\r\n\r\n", "431 Request Header Fields Too Large"),
        (b"X" * (MAX_REQUEST_LENGTH + 1), "431 Request Header Fields Too Large"),
    ],
    ids=str,
)
async def test_request_of_any_kind_is_answered_and_the_connection_ends(
    serve: Serve, request_head: bytes, status: str
) -> None:
    harness = await serve()
    client = await harness.metrics()
    await client.send(request_head)
    head, _, body = (await client.receive_to_end()).partition(b"\r\n\r\n")
    first, *others = head.decode().split("\r\n")
    assert first == f"HTTP/1.1 {status}"
    assert f"Content-Length: {len(body)}" in others
    assert bool(body) is (status == "200 OK")
    assert ("Allow: GET" in others) is status.startswith("405")
    await harness.quiet()


async def test_request_comes_byte_by_byte_it_is_answered(serve: Serve) -> None:
    harness = await serve()
    client = await harness.metrics()
    for index in range(len(GET)):
        await client.send(GET[index : index + 1])
        await turns(3)
    assert (await client.receive_to_end()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_request_does_not_come_to_its_end_connection_is_closed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_server, "DEADLINE_S", 0.1)
    harness = await serve()
    client = await harness.metrics()
    await client.send(GET[:-1])
    assert await client.receive_to_end() == b""
    await harness.quiet()


async def test_client_goes_away_before_its_request_is_whole_nothing_is_left(serve: Serve) -> None:
    harness = await serve()
    client = await harness.metrics()
    await client.send(GET[:9])
    client.close()
    await harness.quiet()


async def test_clients_say_nothing_no_more_than_32_are_kept(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "DEADLINE_S", 600.0)
    harness = await serve()
    kept = [await harness.metrics() for _ in range(MAX_CLIENTS)]
    refused = await harness.metrics()
    assert await refused.receive() == b""
    kept.pop().close()
    await turns()
    late = await harness.metrics()
    await late.send(GET)
    assert (await late.receive_to_end()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_too_many_come_again_and_again_the_log_bears_it(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics_server, "DEADLINE_S", 600.0)
    monkeypatch.setattr(log_budget, "PERIOD_S", 600.0)
    harness = await serve()
    for _ in range(MAX_CLIENTS):
        await harness.metrics()
    for _ in range(log_budget.LINES + 5):
        assert await (await harness.metrics()).receive() == b""
    lines = [record.getMessage() for record in caplog.records]
    assert len([line for line in lines if "refused a client of the metrics" in line]) == log_budget.LINES


async def test_daemon_ends_clients_that_wait_are_let_go(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "DEADLINE_S", 600.0)
    harness = await serve()
    client = await harness.metrics()
    await turns()
    async with asyncio.timeout(PATIENCE_S):
        await harness.daemon.close()
    assert await client.receive_to_end() == b""


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
async def test_address_can_be_reached_by_others_daemon_does_not_start(tmp_path: Path, host: str) -> None:
    settings = DaemonSettings(
        listen=(ListenSettings(UnixAddress(str(tmp_path / "mux"))),),
        pair_record_directory=tmp_path / "records",
        metrics_listen=ListenSettings(TcpAddress(host, 0)),
    )
    with pytest.raises(ConfigurationError, match="metrics are given on a Unix socket or loopback only"):
        await Daemon(settings, []).start()
    assert not (tmp_path / "mux").exists()


@pytest.mark.parametrize("length", [10_000, 64 << 20], ids=["all in the kernel", "more"])
async def test_client_takes_nothing_of_a_long_answer_it_is_given_up(
    monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr(metrics_server, "DEADLINE_S", 0.1)
    before = open_descriptors()
    loop = asyncio.get_running_loop()
    server = MetricsServer(
        loop, ListenSettings(TcpAddress("127.0.0.1", 0)), lambda: bytes(length), Complaints(loop.time)
    )
    server.start()
    idle = open_descriptors()
    assert isinstance(server.address, TcpAddress)
    with socket.create_connection((server.address.host, server.address.port)) as sock:
        sock.setblocking(False)
        await RawClient(sock).send(GET)
        await until(lambda: server._tasks)
        await until(lambda: not server._tasks)
        assert len(open_descriptors() - idle) == 1  # that of the client
    await server.close()
    assert open_descriptors() == before
