"""The whole way: a phone at a socket, and a guest that enumerates it, shakes hands and moves bytes."""

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.testing.usbredir_guest import Guest, SocketGuest
from usbmux.control.address import TcpAddress, UnixAddress
from usbmux.errors import LocalProtocolError
from usbmux.mux.packet import (
    FIRST_RX_SEQ,
    SETUP_PAYLOAD,
    MuxProtocol,
    Packet,
    PacketReader,
    Version,
    encode_v1,
    encode_v2,
)
from usbmux.mux.segment import Flags, Segment
from usbmux.testing import PhoneOptions, SimulatedPhone, Speed, UsbredirServer, echo
from usbmux.testing.usb_phone import ENDPOINT_IN, ENDPOINT_OUT
from usbmux.testing.usbredir_packet import Capability, PacketType
from usbmux.testing.usbredir_payload import Status

PORT = 7
HOST_PORT = 1000
WINDOW = 131072


@pytest_asyncio.fixture
async def path() -> AsyncIterator[Path]:
    # Not below tmp_path: a socket's path is short.
    with tempfile.TemporaryDirectory(prefix="redir") as directory:
        yield Path(directory) / "phone"


@pytest.fixture
def phone() -> SimulatedPhone:
    return SimulatedPhone(ports={PORT: echo})


@pytest_asyncio.fixture
async def server(path: Path, phone: SimulatedPhone) -> AsyncIterator[UsbredirServer]:
    async with UsbredirServer(phone) as serving:
        await serving.serve(path)
        yield serving


@pytest_asyncio.fixture
async def guest(server: UsbredirServer, path: Path) -> AsyncIterator[SocketGuest]:
    connected = await SocketGuest.connect(path)
    yield connected
    connected.writer.close()


class Host:
    """A usbmuxd in a few lines, with reads of one size."""

    def __init__(self, guest: SocketGuest, read_length: int, max_packet_size: int) -> None:
        self._guest = guest
        self._read_length = read_length
        self._max_packet_size = max_packet_size
        self._reader = PacketReader()
        self._packets: list[Packet] = []
        self._last_id = 100
        self._tx_seq = 0
        self.longest = 0

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def write(self, packet: bytes) -> None:
        pieces = [packet]
        if len(packet) % self._max_packet_size == 0:
            pieces.append(b"")
        for piece in pieces:
            packet_id = self._next_id()
            self._guest.writer.write(self._guest.bulk(packet_id, ENDPOINT_OUT, piece))
            answered, answer = await self._guest.wait_bulk()
            assert (answered, answer.status, answer.length) == (packet_id, Status.SUCCESS, len(piece))

    async def read(self) -> Packet:
        while not self._packets:
            packet_id = self._next_id()
            self._guest.writer.write(self._guest.bulk(packet_id, ENDPOINT_IN, self._read_length))
            answered, answer = await self._guest.wait_bulk()
            assert (answered, answer.status, answer.length) == (packet_id, Status.SUCCESS, len(answer.data))
            assert len(answer.data) <= self._read_length
            self.longest = max(self.longest, len(answer.data))
            for packet in self._reader.receive_data(answer.data):
                self._packets.append(Packet(packet.protocol, bytes(packet.payload), packet.tx_seq, packet.rx_seq))
        return self._packets.pop(0)

    async def shake_hands(self) -> None:
        await self.write(encode_v1(MuxProtocol.VERSION, Version(2, 0).encode()))
        assert Version.decode((await self.read()).payload) == Version(2, 0)
        self._reader.version = 2
        await self._write_v2(MuxProtocol.SETUP, SETUP_PAYLOAD, FIRST_RX_SEQ)

    async def send(self, segment: Segment) -> None:
        await self._write_v2(MuxProtocol.TCP, segment.encode(), 0)

    async def receive(self) -> Segment:
        return Segment.decode((await self.read()).payload)

    async def _write_v2(self, protocol: MuxProtocol, payload: bytes, rx_seq: int) -> None:
        await self.write(encode_v2(protocol, payload, self._tx_seq, rx_seq))
        self._tx_seq += 1

    async def connect(self) -> tuple[int, int]:
        """Our next sequence number, and the phone's."""
        await self.send(Segment(HOST_PORT, PORT, 0, 0, Flags.SYN, WINDOW))
        answer = await self.receive()
        await self.send(Segment(HOST_PORT, PORT, 1, answer.seq + 1, Flags.ACK, WINDOW))
        return 1, answer.seq + 1

    async def echo(self, data: bytes) -> bytes:
        seq, ack = await self.connect()
        await self.send(Segment(HOST_PORT, PORT, seq, ack, Flags.ACK, WINDOW, data))
        received = b""
        while len(received) < len(data):
            received += (await self.receive()).payload
        return received


@pytest.mark.asyncio
@pytest.mark.parametrize("read_length", [512, 16384])
@pytest.mark.parametrize("length", [1, 476, 16384 - 36, 20000, 49152 - 36])
async def test_configured_host_shakes_hands_and_gets_its_echo(
    length: int, read_length: int, phone: SimulatedPhone, guest: SocketGuest
) -> None:
    await guest.wait(PacketType.DEVICE_CONNECT)
    await guest.set_configuration(4)
    host = Host(guest, read_length, 512)
    data = bytes(number % 251 for number in range(length))

    await host.shake_hands()

    assert await host.echo(data) == data
    assert host.longest <= read_length
    assert phone.violations == []


@pytest.mark.asyncio
async def test_superspeed_configured_host_gets_its_echo(path: Path) -> None:
    phone = SimulatedPhone(ports={PORT: echo}, options=PhoneOptions(max_packet_size=1024))
    async with UsbredirServer(phone) as server:
        await server.serve(str(path))
        guest = await SocketGuest.connect(path)
        await guest.set_configuration(4)
        host = Host(guest, 16384, 1024)
        await host.shake_hands()
        assert await host.echo(bytes(1024 - 36)) == bytes(1024 - 36)
        assert phone.violations == []
        guest.writer.close()


@pytest.mark.asyncio
async def test_configured_zero_length_packet_left_out_the_phone_complains(
    phone: SimulatedPhone, guest: SocketGuest
) -> None:
    await guest.set_configuration(4)
    host = Host(guest, 16384, max_packet_size=1 << 20)
    await host.shake_hands()
    seq, ack = await host.connect()
    for _ in range(2):
        await host.send(Segment(HOST_PORT, PORT, seq, ack, Flags.ACK, WINDOW, bytes(512 - 36)))
        seq += 512 - 36
    await host.write(b"end")
    assert len(phone.violations) == 1
    assert "expected one packet of 512 bytes, received 1027" in phone.violations[0]


@pytest.mark.asyncio
async def test_serving_unplugged_and_plugged_guest_sees_both(server: UsbredirServer, guest: SocketGuest) -> None:
    for _ in range(3):
        await guest.wait(PacketType.DEVICE_CONNECT)
        await guest.set_configuration(4)
        await Host(guest, 512, 512).shake_hands()

        unplugging = asyncio.ensure_future(server.unplug())
        await guest.wait(PacketType.DEVICE_DISCONNECT)
        assert not server.is_plugged
        assert not unplugging.done()
        guest.writer.write(guest.packet(PacketType.DEVICE_DISCONNECT_ACK))
        await unplugging
        await server.plug()

    await guest.wait(PacketType.DEVICE_CONNECT)
    assert server.is_plugged


@pytest.mark.asyncio
async def test_serving_unplugged_guest_hangs_up_instead_of_acknowledging(
    server: UsbredirServer, guest: SocketGuest, path: Path
) -> None:
    unplugging = asyncio.ensure_future(server.unplug())
    await guest.wait(PacketType.DEVICE_DISCONNECT)
    guest.writer.close()
    await unplugging

    await server.plug()
    second = await SocketGuest.connect(path)
    await second.wait(PacketType.DEVICE_CONNECT)
    second.writer.close()


@pytest.mark.asyncio
async def test_serving_unplug_in_the_middle_of_a_transfer_gives_no_answer(
    server: UsbredirServer, guest: SocketGuest, phone: SimulatedPhone
) -> None:
    await guest.set_configuration(4)
    host = Host(guest, 16384, 512)
    await host.shake_hands()
    server.unplug_after(30000)
    guest.writer.write(guest.bulk(1, ENDPOINT_OUT, bytes(49152)))
    await guest.wait(PacketType.DEVICE_DISCONNECT)
    assert not server.is_plugged
    assert not server.device.is_attached
    assert phone.violations == []


@pytest.mark.asyncio
async def test_serving_connection_dropped_next_guest_finds_the_phone_as_new(
    server: UsbredirServer, guest: SocketGuest, path: Path
) -> None:
    await guest.set_configuration(4)
    server.drop_connection()
    assert await guest.read_to_end() == b""
    second = await SocketGuest.connect(path)
    await second.wait(PacketType.DEVICE_CONNECT)
    await second.set_configuration(3)
    await Host(second, 512, 512).shake_hands()
    second.writer.close()


@pytest.mark.asyncio
async def test_serving_second_guest_is_hung_up_on(guest: SocketGuest, path: Path) -> None:
    await guest.wait(PacketType.DEVICE_CONNECT)
    reader, writer = await asyncio.open_unix_connection(path)
    assert await reader.read() == b""
    writer.close()
    await guest.set_configuration(4)


@pytest.mark.asyncio
async def test_serving_hostile_guest_is_hung_up_on_and_the_next_is_served(
    server: UsbredirServer, guest: SocketGuest, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await guest.wait(PacketType.DEVICE_CONNECT)
    guest.writer.write(bytes.fromhex("65000000 ffffffff 0000000000000000"))
    assert await guest.read_to_end() == b""
    assert "BULK_PACKET of 4294967295 bytes" in caplog.text
    second = await SocketGuest.connect(path)
    await second.wait(PacketType.DEVICE_CONNECT)
    second.writer.close()


@pytest.mark.asyncio
async def test_serving_guest_that_reads_nothing_is_not_read_without_end(server: UsbredirServer, path: Path) -> None:
    guest = Guest(Capability(0))
    requests = guest.control(1, 0x80, 6, 0x0203, length=255) * 1000
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.setblocking(False)
        sock.send(guest.hello())
        sent = turns_without_progress = 0
        while turns_without_progress < 1000:
            assert sent < 16 << 20
            await asyncio.sleep(0)
            try:
                sent += sock.send(requests[sent % len(requests) :])
                turns_without_progress = 0
            except BlockingIOError:
                turns_without_progress += 1


@pytest.mark.asyncio
async def test_closed_the_socket_is_gone(server: UsbredirServer, guest: SocketGuest, path: Path) -> None:
    assert server.address == UnixAddress(str(path))
    await guest.wait(PacketType.DEVICE_CONNECT)
    await server.close()
    assert await guest.read_to_end() == b""
    assert not os.access(path, os.F_OK)
    with pytest.raises(LocalProtocolError):
        _ = server.address


@pytest.mark.asyncio
async def test_tcp_port_is_chosen_and_served(phone: SimulatedPhone) -> None:
    async with UsbredirServer(phone, speed=Speed.HIGH, is_plugged=False) as server:
        await server.serve("127.0.0.1:0")
        address = server.address
        assert isinstance(address, TcpAddress)
        with pytest.raises(LocalProtocolError):
            await server.serve("127.0.0.1:0")
        reader, writer = await asyncio.open_connection(address.host, address.port)
        guest = SocketGuest(reader, writer)
        writer.write(guest.hello())
        await guest.wait(PacketType.HELLO)
        await server.plug()
        await guest.wait(PacketType.DEVICE_CONNECT)
        writer.close()


@pytest.mark.parametrize(("size", "speed"), [(512, Speed.SUPER), (1024, Speed.HIGH), (64, None)])
def test_phone_of_another_packet_size_is_refused(size: int, speed: Speed | None) -> None:
    phone = SimulatedPhone(options=PhoneOptions(max_packet_size=size))
    with pytest.raises(LocalProtocolError, match="max_packet_size"):
        UsbredirServer(phone, speed=speed)


@pytest.mark.asyncio
async def test_no_guest_unplug_after_is_refused(server: UsbredirServer) -> None:
    with pytest.raises(LocalProtocolError):
        server.unplug_after(1)
