"""A daemon with simulated phones in the test's own event loop, and a client that speaks raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import plistlib
import random
import socket
import struct
from typing import TYPE_CHECKING, cast

from usbmux.admin.message import ClientActivity
from usbmux.control.address import Address, UnixAddress
from usbmux.daemon.admission import ClientLimits
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.server import Daemon
from usbmux.daemon.settings import DaemonSettings
from usbmux.mux.settings import MuxSettings
from usbmux.testing import PhoneStream, SimulatedBus, SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from usbmux.daemon.policy import Rule

PATIENCE_S = 20.0
"""How long anything may take before the test fails."""
PLIST = 8
UDID = "00008030-001A2B3C4D5E6F01"
OTHER_UDID = "00008110-000A1D2E3F4B5C6D"

CAPTURE_BACKLOG = 1 << 18

Properties = dict[str, object]


async def turns(count: int = 100) -> None:
    """Let everything happen that is about to: all of it is in this loop and waits for no clock."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(predicate: Callable[[], object]) -> None:
    """Wait for something that nobody announces."""
    async with asyncio.timeout(PATIENCE_S):
        while not predicate():  # noqa: ASYNC110
            await asyncio.sleep(0)


def open_descriptors() -> set[str]:
    """The open descriptors of this process, and what they are."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the descriptor of the listing itself
            found.add(f"{name}: {os.readlink(f'/proc/self/fd/{name}')}")
    return found


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        near, _ = server.accept()
        return near, far


def encode(properties: Properties, tag: int = 1) -> bytes:
    """A plist request."""
    payload = plistlib.dumps(properties)
    return frame(payload, version=1, message=PLIST, tag=tag)


def frame(payload: bytes, *, version: int, message: int, tag: int) -> bytes:
    """Any request, also an impossible one."""
    return struct.pack("<IIII", 16 + len(payload), version, message, tag) + payload


def connect_request(device_id: int, port: int, tag: int = 1) -> bytes:
    """A Connect in plist."""
    swapped = (port & 0xFF) << 8 | port >> 8
    return encode({"MessageType": "Connect", "DeviceID": device_id, "PortNumber": swapped}, tag)


def some_bytes(length: int) -> bytes:
    """Bytes in which no part looks like another; the same at every call."""
    return random.Random(length).randbytes(length)


class HeldPort:
    """A port of a phone whose connection is in the hands of the test."""

    def __init__(self) -> None:
        self._opened: asyncio.Queue[PhoneStream] = asyncio.Queue()
        self._ended = asyncio.Event()

    async def __call__(self, stream: PhoneStream) -> None:
        self._opened.put_nowait(stream)
        await self._ended.wait()

    async def stream(self) -> PhoneStream:
        """The phone's end of the oldest connection not taken yet."""
        return await asyncio.wait_for(self._opened.get(), PATIENCE_S)

    def end(self) -> None:
        """The phone closes all connections."""
        self._ended.set()


class RawClient:
    """A client's socket; everything fails after `PATIENCE_S`."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._loop.sock_sendall(self.sock, data)

    async def receive(self, count: int = 1 << 20) -> bytes:
        """What one call of recv gives."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._loop.sock_recv(self.sock, count)

    async def receive_exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = await self.receive(count - len(data))
            assert piece, f"the stream ended after {len(data)} of {count} bytes"
            data += piece
        return bytes(data)

    async def receive_to_end(self) -> bytes:
        """Everything up to a clean end; a reset raises."""
        data = bytearray()
        while piece := await self.receive():
            data += piece
        return bytes(data)

    async def receive_line(self) -> bytes:
        """Up to a newline, and nothing behind it."""
        line = bytearray()
        while not line.endswith(b"\n"):
            line += await self.receive_exactly(1)
        return bytes(line)

    async def receive_frame(self) -> tuple[int, int, int, bytes]:
        """Version, message, tag and payload."""
        length, version, message, tag = struct.unpack("<IIII", await self.receive_exactly(16))
        return version, message, tag, await self.receive_exactly(length - 16)

    async def receive_properties(self, tag: int) -> Properties:
        """A message in plist, which has the version and tag that it must have."""
        version, message, received_tag, payload = await self.receive_frame()
        assert (version, message, received_tag) == (1, PLIST, tag)
        return cast(Properties, plistlib.loads(payload))

    async def request(self, properties: Properties, tag: int = 1) -> Properties:
        await self.send(encode(properties, tag))
        return await self.receive_properties(tag)

    async def expect_result(self, code: int, tag: int = 1) -> None:
        assert await self.receive_properties(tag) == {"MessageType": "Result", "Number": code}

    async def connect(self, port: int, device_id: int = 1) -> None:
        """Become a stream to a port of a phone."""
        await self.send(connect_request(device_id, port))
        await self.expect_result(0)

    async def listen(self, tag: int = 1) -> None:
        await self.send(encode({"MessageType": "Listen"}, tag))
        await self.expect_result(0, tag)

    def shut_down_writing(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()


class Harness:
    """A daemon that serves, its phones, and every client that a test has opened."""

    def __init__(self, directory: Path, phones: Sequence[SimulatedPhone]) -> None:
        self.directory = directory
        self.phones = list(phones)
        self.bus = SimulatedBus()
        self.admin_address = UnixAddress(str(directory / "usbmuxd.admin"))
        self.metrics_address = UnixAddress(str(directory / "metrics"))
        self.clients: list[RawClient] = []
        self.expected_violations: list[str] = []

    async def start(
        self,
        addresses: Sequence[Address] = (),
        mux: MuxSettings | None = None,
        *,
        listen: Sequence[ListenSettings] = (),
        rules: Sequence[Rule] = (),
        limits: ClientLimits | None = None,
        preflight: bool = False,
    ) -> None:
        self.before = open_descriptors()
        self.settings = DaemonSettings(
            listen=tuple(listen or map(ListenSettings, addresses or [UnixAddress(str(self.directory / "usbmuxd"))])),
            rules=tuple(rules),
            client_limits=limits or ClientLimits(),
            pair_record_directory=self.directory / "lockdown",
            mux=mux or MuxSettings(),
            preflight=preflight,
            admin_listen=ListenSettings(self.admin_address, mode=0o600),
            metrics_listen=ListenSettings(self.metrics_address, mode=0o600),
            capture_backlog=CAPTURE_BACKLOG,
        )
        self.daemon = Daemon(self.settings, [self.bus])
        for phone in self.phones:
            self.bus.plug(phone)
        await self.daemon.start()
        self.idle = open_descriptors()

    async def attached(self, count: int | None = None) -> None:
        """Wait until clients see that many phones, or all."""
        wanted = len(self.phones) if count is None else count
        await until(lambda: len(self.daemon.registry.records()) == wanted)

    async def client(self, index: int = 0, *, is_slow: bool = False) -> RawClient:
        """A client at the address of that index; a slow one has a small receive buffer."""
        return await self._connected(self.daemon.addresses[index], is_slow=is_slow)

    async def admin(self) -> RawClient:
        """A client of the admin socket."""
        return await self._connected(self.admin_address)

    async def metrics(self) -> RawClient:
        """A client of the socket for Prometheus."""
        return await self._connected(self.metrics_address)

    async def _connected(self, address: Address, *, is_slow: bool = False) -> RawClient:
        peer: str | tuple[str, int]
        if isinstance(address, UnixAddress):
            family, peer = socket.AF_UNIX, address.path
        else:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            peer = (address.host, address.port)
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        if is_slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        client = RawClient(sock)
        self.clients.append(client)
        await asyncio.get_running_loop().sock_connect(sock, peer)
        return client

    async def stream(self, port: int, *, device_id: int = 1, index: int = 0, is_slow: bool = False) -> RawClient:
        """A client that is connected to a port of a phone."""
        await self.attached()
        client = await self.client(index, is_slow=is_slow)
        await client.connect(port, device_id)
        return client

    async def connecting(self, port: int) -> RawClient:
        """A client that waits for a phone that does not answer."""
        await self.attached()
        client = await self.client()
        await client.send(connect_request(1, port))
        await until(lambda: self.daemon.clients.activities()[ClientActivity.CONNECTING])
        return client

    async def quiet(self) -> None:
        """Wait until the daemon has let go of every client; those of the test must be closed."""
        for client in self.clients:
            client.close()
        await until(lambda: open_descriptors() == self.idle)

    async def stop(self) -> None:
        """End everything; fail if anything is left or a phone complains."""
        for client in self.clients:
            client.close()
        await self.daemon.close()
        await turns()
        await until(lambda: open_descriptors() == self.before)  # a thread that makes keys may read files until then
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        assert not tasks
        violations = [violation for phone in self.phones for violation in phone.violations]
        assert violations == self.expected_violations
