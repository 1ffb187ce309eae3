"""What packets of the usbredir protocol carry: devices, interfaces, endpoints, control and bulk transfers."""

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final

from usbmux.errors import RemoteProtocolError
from usbmux.testing.usbredir_packet import Capability
from usbmux.values import frozen

_TABLE_LENGTH: Final = 32
_CONTROL: Final = struct.Struct("<BBBBHHH")
_BULK: Final = struct.Struct("<BBHI")
_LENGTH_HIGH: Final = struct.Struct("<H")


class Status(IntEnum):
    """How a request ended."""

    SUCCESS = 0
    CANCELLED = 1
    INVALID = 2
    IO_ERROR = 3
    STALL = 4
    TIMEOUT = 5
    BABBLE = 6


class RedirSpeed(IntEnum):
    """Speed of a device."""

    LOW = 0
    FULL = 1
    HIGH = 2
    SUPER = 3
    UNKNOWN = 255


NO_ENDPOINT: Final = 255
"""Type of an endpoint that is not there; the others are those of USB."""


@frozen
class DeviceConnect:
    """A device was plugged in."""

    speed: RedirSpeed
    triple: tuple[int, int, int]
    """Class, subclass and protocol of the device."""
    vendor_id: int
    product_id: int
    version: int
    """bcdDevice."""

    def encode(self, capabilities: Capability) -> bytes:
        """The payload."""
        payload = struct.pack("<BBBBHH", self.speed, *self.triple, self.vendor_id, self.product_id)
        has_version = Capability.CONNECT_DEVICE_VERSION in capabilities
        return payload + struct.pack("<H", self.version) if has_version else payload


@frozen
class InterfaceEntry:
    """One line of `encode_interface_info`."""

    number: int
    triple: tuple[int, int, int]


def encode_interface_info(interfaces: Sequence[InterfaceEntry]) -> bytes:
    """The payload that tells all interfaces of the configuration in force, 32 at most."""
    columns = (
        [interface.number for interface in interfaces],
        *([interface.triple[part] for interface in interfaces] for part in range(3)),
    )
    return struct.pack("<I", len(interfaces)) + b"".join(
        bytes(column).ljust(_TABLE_LENGTH, b"\0") for column in columns
    )


@frozen
class EndpointEntry:
    """One endpoint of `encode_ep_info`."""

    kind: int
    """Control 0, isochronous 1, bulk 2, interrupt 3."""
    interval: int
    interface: int
    max_packet_size: int


def encode_ep_info(endpoints: Mapping[int, EndpointEntry], capabilities: Capability) -> bytes:
    """The payload that tells all endpoints by address; those that are not given are not there."""
    addresses = [*range(16), *range(0x80, 0x90)]
    absent = EndpointEntry(NO_ENDPOINT, 0, 0, 0)
    entries = [endpoints.get(address, absent) for address in addresses]
    payload = bytes(entry.kind for entry in entries)
    payload += bytes(entry.interval for entry in entries)
    payload += bytes(entry.interface for entry in entries)
    if Capability.EP_INFO_MAX_PACKET_SIZE in capabilities:
        payload += struct.pack("<32H", *(entry.max_packet_size for entry in entries))
    if Capability.BULK_STREAMS in capabilities:
        payload += bytes(4 * _TABLE_LENGTH)
    return payload


@frozen
class ControlPacket:
    """A control transfer or its result. Data goes with it to the device, or from it, never both."""

    endpoint: int
    request: int
    request_type: int
    status: int
    value: int
    index: int
    length: int
    """What the guest sends or wants, or what was moved, in bytes."""
    data: bytes = b""

    def encode(self) -> bytes:
        """The payload."""
        fields = (self.endpoint, self.request, self.request_type, self.status, self.value, self.index, self.length)
        return _CONTROL.pack(*fields) + self.data

    @classmethod
    def decode(cls, payload: bytes) -> "ControlPacket":
        """Read a payload.

        Raises:
            RemoteProtocolError: It is shorter than its fields.
        """
        if len(payload) < _CONTROL.size:
            raise RemoteProtocolError(f"control packet of {len(payload)} bytes", payload)
        endpoint, request, request_type, status, value, index, length = _CONTROL.unpack_from(payload)
        return cls(endpoint, request, request_type, status, value, index, length, payload[_CONTROL.size :])


@frozen
class BulkPacket:
    """A bulk transfer or its result. Data goes with it to the device, or from it, never both."""

    endpoint: int
    status: int
    length: int
    """What the guest sends or wants, or what was moved, in bytes."""
    stream_id: int = 0
    data: bytes = b""

    def encode(self, capabilities: Capability) -> bytes:
        """The payload; without `BULK_LENGTH_32BITS` the length must fit in 16 bits."""
        payload = _BULK.pack(self.endpoint, self.status, self.length & 0xFFFF, self.stream_id)
        if Capability.BULK_LENGTH_32BITS in capabilities:
            payload += _LENGTH_HIGH.pack(self.length >> 16)
        return payload + self.data

    @classmethod
    def decode(cls, payload: bytes, capabilities: Capability) -> "BulkPacket":
        """Read a payload.

        Raises:
            RemoteProtocolError: It is shorter than its fields.
        """
        has_high = Capability.BULK_LENGTH_32BITS in capabilities
        start = _BULK.size + (_LENGTH_HIGH.size if has_high else 0)
        if len(payload) < start:
            raise RemoteProtocolError(f"bulk packet of {len(payload)} bytes", payload)
        endpoint, status, length, stream_id = _BULK.unpack_from(payload)
        if has_high:
            length |= _LENGTH_HIGH.unpack_from(payload, _BULK.size)[0] << 16
        return cls(endpoint, status, length, stream_id, payload[start:])
