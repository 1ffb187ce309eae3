"""The whole way over TCP, as on systems without Unix sockets: phone, daemon, client, relay."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from typing import TYPE_CHECKING

import pytest

from tests.support.streams import MEBIBYTE, echoed, receive_exactly, some_bytes
from usbmux.client.aio import AsyncClient
from usbmux.client.blocking import Client
from usbmux.client.device import DeviceAttached, DeviceDetached
from usbmux.control.address import TcpAddress
from usbmux.direct_loop import new_event_loop
from usbmux.errors import PortRefusedError
from usbmux.relay.forwarder import Forwarder
from usbmux.relay.route import Route
from usbmux.testing import RunningDaemon, SimulatedPhone, digest, echo

if TYPE_CHECKING:
    from collections.abc import Iterator

WITHIN_S = 30.0
DATA = some_bytes(MEBIBYTE)


@pytest.fixture
def daemon() -> Iterator[RunningDaemon]:
    with RunningDaemon([SimulatedPhone(ports={7: echo, 99: digest})], addresses=[TcpAddress("127.0.0.1", 0)]) as daemon:
        yield daemon
        assert daemon.violations == []


def half_closed(connection: socket.socket) -> bytes:
    """What the phone's port 99 answers when the client has ended its writing."""
    with connection:
        connection.sendall(len(DATA).to_bytes(8) + DATA)
        connection.shutdown(socket.SHUT_WR)
        return receive_exactly(connection, 33)


def test_blocking_client_lists_connects_and_half_closes(daemon: RunningDaemon) -> None:
    client = Client(daemon.address)
    assert [device.udid for device in client.devices()] == [SimulatedPhone().udid]
    connection = client.connect(None, 7)
    connection.settimeout(WITHIN_S)
    assert echoed(connection, DATA) == DATA
    assert half_closed(client.connect(None, 99)) == hashlib.sha256(DATA).digest()
    with pytest.raises(PortRefusedError):
        client.connect(None, 8)


def test_watch_is_told_of_plug_and_unplug(daemon: RunningDaemon) -> None:
    phone = daemon.phones[0]
    with Client(daemon.address).watch() as events:
        assert isinstance(events.wait_event(WITHIN_S), DeviceAttached)
        daemon.unplug(phone)
        assert isinstance(events.wait_event(WITHIN_S), DeviceDetached)
        daemon.plug(phone)
        assert isinstance(events.wait_event(WITHIN_S), DeviceAttached)


def test_asyncio_client_works_in_the_usual_loop_of_the_system(daemon: RunningDaemon) -> None:
    async def ask() -> bytes:
        reader, writer = await AsyncClient(daemon.address).connect(None, 7)
        writer.write(b"hello")
        answer = await reader.readexactly(5)
        writer.close()
        return answer

    assert asyncio.run(ask()) == b"hello"


def test_forwarder_works_in_our_loop(daemon: RunningDaemon) -> None:
    async def forward() -> tuple[bytes, bytes]:
        routes = [Route(TcpAddress("127.0.0.1", 0), port) for port in (7, 99)]
        async with Forwarder(AsyncClient(daemon.address), routes) as forwarder:
            to_echo, to_digest = (
                socket.create_connection((listening.address, listening.port), WITHIN_S)
                for listening in forwarder.listening_ports
            )
            return await asyncio.to_thread(echoed, to_echo, DATA), await asyncio.to_thread(half_closed, to_digest)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(forward()) == (DATA, hashlib.sha256(DATA).digest())
