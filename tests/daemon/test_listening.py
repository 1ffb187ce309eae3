"""Clients that listen (C18, C28 to C31)."""

from __future__ import annotations

import asyncio
import contextlib
import plistlib
import socket
from typing import TYPE_CHECKING, cast

import pytest

from tests.daemon.harness import OTHER_UDID, UDID, RawClient, encode, turns, until
from usbmux.control.address import TcpAddress
from usbmux.daemon.client_link import ClientLink
from usbmux.daemon.complaints import Complaints
from usbmux.daemon.counts import Counts
from usbmux.daemon.device_link import DeviceLink
from usbmux.daemon.moderation import Moderation
from usbmux.daemon.pairing import PairRecordStore
from usbmux.daemon.patience import Patience
from usbmux.daemon.peer import Peer
from usbmux.daemon.policy import WHOLE_VIEW
from usbmux.daemon.registry import DeviceRegistry
from usbmux.daemon.requests import RequestAnswerer
from usbmux.daemon.socket_watch import make_socket_watch
from usbmux.daemon.unread import MAX_UNREAD, Unread
from usbmux.farewell import Farewells
from usbmux.testing import SimulatedPhone
from usbmux.usb.pipe import UsbDeviceInfo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.daemon.conftest import Serve
    from usbmux.daemon.device_stream import DeviceStream

pytestmark = pytest.mark.asyncio

LISTEN = {"MessageType": "Listen"}
both_families = pytest.mark.parametrize("addresses", [(), (TcpAddress("127.0.0.1", 0),)], ids=["unix", "tcp"])


async def test_phones_attached_listen_result_and_phones_come_in_one_write(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID), SimulatedPhone(OTHER_UDID))
    await harness.attached()
    client = await harness.client()
    await client.send(encode(dict(LISTEN)))
    data = await client.receive()
    assert data.count(b"<key>MessageType</key>") == 3
    assert data.endswith(b"</plist>\n")
    assert data.index(b"Result") < data.index(UDID.encode()) < data.index(OTHER_UDID.encode())


async def test_listening_phone_comes_and_goes_client_hears_of_it_with_tag_0(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    await client.listen(tag=77)
    phone = SimulatedPhone(UDID)
    harness.phones.append(phone)
    harness.bus.plug(phone)
    attached = await client.receive_properties(tag=0)
    assert (attached["MessageType"], attached["DeviceID"]) == ("Attached", 1)
    harness.bus.unplug(phone)
    assert await client.receive_properties(tag=0) == {"MessageType": "Detached", "DeviceID": 1}


async def test_listening_phone_replugged_has_a_new_id(serve: Serve) -> None:
    phone = SimulatedPhone(UDID)
    harness = await serve(phone)
    client = await harness.client()
    await client.listen()
    heard = []
    for _ in range(3):
        heard.append((await client.receive_properties(tag=0))["DeviceID"])
        harness.bus.unplug(phone)
        harness.bus.plug(phone)
        heard.append((await client.receive_properties(tag=0))["DeviceID"])
    assert heard == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("device_id", "record_id", "is_told"), [(1, UDID, True), (2, UDID, False), (1, OTHER_UDID, False), (9, UDID, False)]
)
async def test_listening_record_saved_client_hears_paired_if_id_and_serial_fit(
    serve: Serve, device_id: int, record_id: str, is_told: bool
) -> None:
    harness = await serve(SimulatedPhone(UDID), SimulatedPhone(OTHER_UDID))
    await harness.attached()
    listener, saver = await harness.client(), await harness.client()
    await listener.listen()
    for _ in range(2):
        await listener.receive_properties(tag=0)
    record = {"PairRecordID": record_id, "PairRecordData": plistlib.dumps({}), "DeviceID": device_id}
    await saver.send(encode({"MessageType": "SavePairRecord", **record}))
    await saver.expect_result(0)
    harness.bus.unplug(harness.phones[0])
    heard = await listener.receive_properties(tag=0)
    assert heard["MessageType"] == ("Paired" if is_told else "Detached")


@both_families
async def test_listening_command_is_answered_1_and_connection_ends_cleanly(
    serve: Serve, addresses: tuple[TcpAddress, ...]
) -> None:
    harness = await serve(SimulatedPhone(UDID), addresses=addresses)
    client = await harness.client()
    await client.listen()
    await client.receive_properties(tag=0)
    await client.send(encode({"MessageType": "ListDevices"}, 5) + encode({"MessageType": "ListDevices"}, 6) * 10)
    await client.expect_result(1, tag=5)
    assert await client.receive_to_end() == b""
    await harness.quiet()


async def test_listening_impossible_length_ends_the_connection(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    await client.listen()
    await client.send(bytes(16))
    assert await client.receive_to_end() == b""


@both_families
async def test_listening_client_goes_daemon_lets_go_of_it(serve: Serve, addresses: tuple[TcpAddress, ...]) -> None:
    harness = await serve(SimulatedPhone(UDID), addresses=addresses)
    client = await harness.client()
    await client.listen()
    await harness.quiet()
    assert harness.daemon.registry.listeners() == ()


async def test_listener_never_reads_is_cut_off_at_the_bound_and_others_are_not(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    registry = harness.daemon.registry
    deaf, keen = await harness.client(is_slow=True), await harness.client()
    for client in (deaf, keen):
        await client.listen()
    await keen.receive_properties(tag=0)
    paired = {"MessageType": "Paired", "DeviceID": 1}
    count = 0
    while len(registry.listeners()) == 2:
        registry.paired(1, UDID)
        assert await keen.receive_properties(tag=0) == paired
        count += 1
        assert count < 10_000
    length = len(encode(paired))
    assert MAX_UNREAD < count * length < MAX_UNREAD + 400_000  # what waits in the daemon, and in the kernel
    assert len(await deaf.receive_to_end()) < 400_000
    await harness.quiet()


class Host:
    """The daemon as far as a client link needs it."""

    def __init__(self, directory: Path) -> None:
        self.registry = DeviceRegistry()
        self.answerer = RequestAnswerer(self.registry, PairRecordStore(directory))
        self.farewells = Farewells(asyncio.get_running_loop())
        self.watch = make_socket_watch(asyncio.get_running_loop())
        self.patience = Patience(asyncio.get_running_loop(), timeout_s=60)
        self.counts = Counts()
        self.complaints = Complaints(asyncio.get_running_loop().time)
        self.unread = Unread()
        self.moderation = Moderation()

    def client_connected(
        self, client: ClientLink, sock: socket.socket, stream: DeviceStream, greeting: bytes, early: bytes
    ) -> None:
        raise AssertionError("nothing to connect to")

    def client_ended(self, client: ClientLink) -> None:
        pass


class PipelessLink:
    """As much of a `DeviceLink` as the registry looks at."""

    info = UsbDeviceInfo(UDID, 0x12A8, 1, 480_000_000, "1-1")


class CountingSocket(socket.socket):
    """A socket that counts what is written to it."""

    writes = 0

    def send(self, *arguments: object) -> int:
        self.writes += 1
        return super().send(*arguments)  # type: ignore[arg-type]


def linked(directory: Path) -> tuple[Host, CountingSocket, RawClient]:
    """A client link without a daemon around it."""
    host = Host(directory)
    near, far = socket.socketpair()
    sock = CountingSocket(fileno=near.detach())
    sock.setblocking(False)
    far.setblocking(False)
    ClientLink(asyncio.get_running_loop(), host, sock, 1, Peer(), WHOLE_VIEW).start()
    return host, sock, RawClient(far)


def stuff(sock: socket.socket) -> int:
    """Write until nothing more is taken; how much that was."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            count += socket.socket.send(sock, bytes(65536))
    return count


async def test_phones_attached_listen_is_answered_by_a_single_write(tmp_path: Path) -> None:
    host, sock, client = linked(tmp_path)
    for _ in range(3):
        host.registry.attach(cast(DeviceLink, PipelessLink()))
    await client.listen()
    for _ in range(3):
        await client.receive_properties(tag=0)
    assert sock.writes == 1
    client.close()
    await until(lambda: sock.fileno() == -1)
    host.watch.close()


async def test_listener_is_being_sent_away_and_a_phone_comes_it_is_not_told(tmp_path: Path) -> None:
    host, sock, client = linked(tmp_path)
    await client.listen()
    stuffing = stuff(sock)
    await client.send(encode(dict(LISTEN), 5))
    await turns(5)
    host.registry.attach(cast(DeviceLink, PipelessLink()))
    await client.receive_exactly(stuffing)
    await client.expect_result(1, tag=5)
    assert await client.receive_to_end() == b""
    client.close()
    await until(lambda: sock.fileno() == -1)
    host.watch.close()
