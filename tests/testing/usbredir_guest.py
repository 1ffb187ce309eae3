"""The other side of a usbredir connection in a few lines, by hand where the specification gives bytes."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import TYPE_CHECKING

from tests.testing.usb_host import Echo
from usbmux.testing import Speed, UsbDevice, UsbDeviceOptions
from usbmux.testing.usb_phone import phone_kinds
from usbmux.testing.usbredir_packet import Capability, Hello, PacketType, RedirPacket, RedirReader
from usbmux.testing.usbredir_payload import BulkPacket, ControlPacket
from usbmux.testing.usbredir_session import UsbredirSession

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GET_DESCRIPTOR = (0x80, 6)
"""Request type and request."""

ALL = Capability(0x7E)
"""Everything but streams and buffered reads; QEMU has these too, but only uses what both sides have."""


class Guest:
    """Sends packets and keeps those that came and were not taken."""

    def __init__(self, capabilities: Capability = ALL) -> None:
        self.capabilities = capabilities
        self.sent = b""
        self.packets: deque[RedirPacket] = deque()
        self._reader = RedirReader()

    def feed(self, data: bytes) -> None:
        """Bytes came from the side with the device."""
        for packet in self._reader.receive_data(data):
            if packet.kind is PacketType.HELLO:
                self._reader.capabilities = Hello.decode(packet.payload).capabilities & self.capabilities
            self.packets.append(packet)

    @property
    def common(self) -> Capability:
        return self._reader.capabilities

    def hello(self) -> bytes:
        return RedirPacket(PacketType.HELLO, 0, Hello("guest", self.capabilities).encode()).encode(Capability(0))

    def packet(self, kind: PacketType, packet_id: int = 0, payload: bytes = b"") -> bytes:
        return RedirPacket(kind, packet_id, payload).encode(self.common)

    def control(
        self, packet_id: int, kind: int, request: int, value: int = 0, index: int = 0, length: int = 0
    ) -> bytes:
        payload = ControlPacket(kind & 0x80, request, kind, 0, value, index, length).encode()
        return self.packet(PacketType.CONTROL_PACKET, packet_id, payload)

    def bulk(self, packet_id: int, endpoint: int, request: bytes | int) -> bytes:
        """`request` is the data to send, or the length to read."""
        data = request if isinstance(request, bytes) else b""
        length = request if isinstance(request, int) else len(request)
        payload = BulkPacket(endpoint, 0, length, 0, data).encode(self.common)
        return self.packet(PacketType.BULK_PACKET, packet_id, payload)

    def take(self, *kinds: PacketType) -> list[RedirPacket]:
        """The next packets, which must be of these kinds."""
        taken = [self.packets.popleft() for _ in range(min(len(kinds), len(self.packets)))]
        assert [packet.kind for packet in taken] == list(kinds)
        return taken

    def take_bulk(self) -> tuple[int, BulkPacket]:
        (packet,) = self.take(PacketType.BULK_PACKET)
        return packet.id, BulkPacket.decode(packet.payload, self.common)

    def take_control(self) -> tuple[int, ControlPacket]:
        (packet,) = self.take(PacketType.CONTROL_PACKET)
        return packet.id, ControlPacket.decode(packet.payload)

    def take_arrival(self) -> tuple[int, int, int]:
        """Speed, vendor and product of a device that arrived."""
        *_, connect = self.take(PacketType.EP_INFO, PacketType.INTERFACE_INFO, PacketType.DEVICE_CONNECT)
        speed, _class, _subclass, _protocol, vendor, product, _version = struct.unpack("<BBBBHHH", connect.payload)
        return speed, vendor, product


class Cable:
    """A guest and a session with a phone that echoes."""

    def __init__(
        self,
        *,
        capabilities: Capability = ALL,
        options: UsbDeviceOptions | None = None,
        speed: Speed = Speed.HIGH,
        is_wanted: bool = True,
    ) -> None:
        self.guest = Guest(capabilities)
        self.function = Echo()
        self.device = UsbDevice(phone_kinds(self.function, speed), self.function, options=options)
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.session = UsbredirSession(
            self.device, self.guest.feed, lambda delay, call: self.timers.append((delay, call)), is_wanted=is_wanted
        )
        self.guest.take(PacketType.HELLO)

    def send(self, *packets: bytes) -> None:
        for packet in packets:
            self.session.receive_data(packet)

    def send_packet(self, kind: PacketType, packet_id: int = 0, payload: bytes = b"") -> None:
        self.send(self.guest.packet(kind, packet_id, payload))

    def quiet(self) -> bool:
        return not self.guest.packets


def plugged(capabilities: Capability = ALL, options: UsbDeviceOptions | None = None) -> Cable:
    cable = Cable(capabilities=capabilities, options=options)
    cable.send(cable.guest.hello())
    cable.guest.packets.clear()
    return cable


def configured(capabilities: Capability = ALL) -> Cable:
    cable = plugged(capabilities)
    cable.send_packet(PacketType.SET_CONFIGURATION, 1, b"\x04")
    cable.guest.packets.clear()
    return cable


class SocketGuest(Guest):
    """A guest at a Unix socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._stream = reader
        self.writer = writer

    @classmethod
    async def connect(cls, path: Path) -> SocketGuest:
        guest = cls(*await asyncio.open_unix_connection(path))
        guest.writer.write(guest.hello())
        await guest.wait(PacketType.HELLO)
        return guest

    async def wait(self, kind: PacketType) -> RedirPacket:
        """The next packet of a kind; those before it are dropped."""
        while True:
            while self.packets:
                packet = self.packets.popleft()
                if packet.kind is kind:
                    return packet
            data = await self._stream.read(1 << 16)
            assert data, f"the server hung up instead of {kind.name}"
            self.feed(data)

    async def wait_bulk(self) -> tuple[int, BulkPacket]:
        packet = await self.wait(PacketType.BULK_PACKET)
        return packet.id, BulkPacket.decode(packet.payload, self.common)

    async def read_to_end(self) -> bytes:
        """What still comes before the server hangs up."""
        return await self._stream.read()

    async def set_configuration(self, value: int) -> None:
        self.writer.write(self.packet(PacketType.SET_CONFIGURATION, 1, bytes((value,))))
        status = await self.wait(PacketType.CONFIGURATION_STATUS)
        assert status.payload == bytes((0, value))
