"""What a USB device says about itself: a description as plain values, and the descriptors made from it as bytes."""

import struct
from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Final

from usbmux.values import field, frozen

DEVICE_VERSION: Final = 0x1402
"""bcdDevice of every device here."""
IS_IN: Final = 0x80
"""The bit of an endpoint's address that means "to the host"."""

_LANGUAGES: Final = b"\x04\x03\x09\x04"  # English alone
_SERIAL_INDEX: Final = 3
_INTERRUPT_PACKET_SIZE: Final = 64
_INTERRUPT_INTERVAL: Final = 10
_SELF_POWERED: Final = 0xC0
_FULL_SPEED_PACKET_SIZE: Final = 64


class DescriptorType(IntEnum):
    """bDescriptorType, which is also the upper half of wValue in GET_DESCRIPTOR."""

    DEVICE = 1
    CONFIGURATION = 2
    STRING = 3
    INTERFACE = 4
    ENDPOINT = 5
    DEVICE_QUALIFIER = 6
    OTHER_SPEED_CONFIGURATION = 7
    BOS = 15
    DEVICE_CAPABILITY = 16
    ENDPOINT_COMPANION = 48


class EndpointType(IntEnum):
    """The lower bits of bmAttributes."""

    BULK = 2
    INTERRUPT = 3


class Speed(Enum):
    """How fast a device runs on its bus."""

    HIGH = "high"
    SUPER = "super"

    @property
    def max_packet_size(self) -> int:
        """The wMaxPacketSize of bulk endpoints, in bytes."""
        return 512 if self is Speed.HIGH else 1024

    @property
    def megabits(self) -> int:
        """Speed of the link in Mbit/s."""
        return 480 if self is Speed.HIGH else 5000


@frozen
class EndpointKind:
    """One endpoint of an interface."""

    address: int
    kind: EndpointType = EndpointType.BULK

    @property
    def interval(self) -> int:
        """The bInterval."""
        return 0 if self.kind is EndpointType.BULK else _INTERRUPT_INTERVAL

    def max_packet_size(self, speed: Speed) -> int:
        """The wMaxPacketSize, in bytes."""
        return speed.max_packet_size if self.kind is EndpointType.BULK else _INTERRUPT_PACKET_SIZE


@frozen
class InterfaceKind:
    """An interface by its class, and its endpoints."""

    triple: tuple[int, int, int]
    """Class, subclass, protocol."""
    endpoints: tuple[int, ...] = ()
    """Addresses of bulk endpoints."""
    interrupt_endpoints: tuple[int, ...] = ()
    alternate: int = 0
    """The alternate setting with the endpoints, and the last one; those before it have none."""

    def endpoints_of(self, alternate: int) -> tuple[EndpointKind, ...]:
        """The endpoints of an alternate setting."""
        if alternate != self.alternate:
            return ()
        bulk = [EndpointKind(address) for address in self.endpoints]
        return (*bulk, *(EndpointKind(address, EndpointType.INTERRUPT) for address in self.interrupt_endpoints))


@frozen
class DeviceKind:
    """A device by its configurations: bConfigurationValue, and the interfaces in the order of their numbers."""

    configurations: Mapping[int, tuple[InterfaceKind, ...]]
    vendor_id: int = 0x05AC
    product_id: int = 0x12A8
    speed: Speed = Speed.HIGH
    serial_number: str = "00008030001A2B3C4D5E6F70"
    """As it is on the wire; empty for a device that has none."""
    manufacturer: str = "Apple Inc."
    product: str = "iPhone"
    strings: Mapping[int, bytes] = field(default_factory=dict)
    """Whole string descriptors by index, instead of those made from the names above."""

    def descriptors(self) -> bytes:
        """The device descriptor and all configurations, as Linux shows them in sysfs."""
        return self._device() + b"".join(map(self._configuration, self.configurations))

    def descriptor(self, value: int) -> bytes | None:
        """The answer to GET_DESCRIPTOR for a wValue; None where a device stalls."""
        kind, index = value >> 8, value & 0xFF
        is_high = self.speed is Speed.HIGH
        match kind:
            case DescriptorType.DEVICE:
                return self._device()
            case DescriptorType.CONFIGURATION:
                return self._nth_configuration(index, DescriptorType.CONFIGURATION)
            case DescriptorType.STRING:
                return self.string(index)
            case DescriptorType.DEVICE_QUALIFIER if is_high:
                return struct.pack("<BBHBBBBBB", 10, kind, 0x0200, 0, 0, 0, 64, len(self.configurations), 0)
            case DescriptorType.OTHER_SPEED_CONFIGURATION if is_high:
                return self._nth_configuration(index, DescriptorType.OTHER_SPEED_CONFIGURATION)
            case DescriptorType.BOS if not is_high:
                return _bos()
        return None

    def string(self, index: int) -> bytes | None:
        """A string descriptor; None where a device stalls."""
        if index in self.strings:
            return self.strings[index]
        if index == 0:
            return _LANGUAGES
        text = {1: self.manufacturer, 2: self.product, _SERIAL_INDEX: self.serial_number}.get(index)
        if not text:
            return None
        encoded = text.encode("utf-16-le")
        return bytes((2 + len(encoded), DescriptorType.STRING)) + encoded

    def _device(self) -> bytes:
        version, control_size = (0x0200, 64) if self.speed is Speed.HIGH else (0x0320, 9)
        return struct.pack(
            "<BBHBBBBHHHBBBB",
            18,
            DescriptorType.DEVICE,
            version,
            0,
            0,
            0,
            control_size,
            self.vendor_id,
            self.product_id,
            DEVICE_VERSION,
            1,
            2,
            _SERIAL_INDEX if self.serial_number else 0,
            len(self.configurations),
        )

    def _nth_configuration(self, index: int, kind: DescriptorType) -> bytes | None:
        values = list(self.configurations)
        return self._configuration(values[index], kind) if index < len(values) else None

    def _configuration(self, value: int, kind: DescriptorType = DescriptorType.CONFIGURATION) -> bytes:
        interfaces = self.configurations[value]
        is_other = kind is DescriptorType.OTHER_SPEED_CONFIGURATION
        body = b"".join(
            _interface(number, interface, self.speed, is_other_speed=is_other)
            for number, interface in enumerate(interfaces)
        )
        # 500 mA in steps of 2 mA, or 896 mA in steps of 8 mA.
        power = 250 if self.speed is Speed.HIGH else 112
        return struct.pack("<BBHBBBBB", 9, kind, 9 + len(body), len(interfaces), value, 0, _SELF_POWERED, power) + body


def _interface(number: int, interface: InterfaceKind, speed: Speed, *, is_other_speed: bool) -> bytes:
    pieces = []
    for alternate in range(interface.alternate + 1):
        endpoints = interface.endpoints_of(alternate)
        head = (9, DescriptorType.INTERFACE, number, alternate, len(endpoints), *interface.triple, 0)
        pieces.append(bytes(head))
        pieces.extend(_endpoint(endpoint, speed, is_other_speed=is_other_speed) for endpoint in endpoints)
    return b"".join(pieces)


def _endpoint(endpoint: EndpointKind, speed: Speed, *, is_other_speed: bool) -> bytes:
    size = min(endpoint.max_packet_size(speed), _FULL_SPEED_PACKET_SIZE if is_other_speed else 0xFFFF)
    head = (7, DescriptorType.ENDPOINT, endpoint.address, endpoint.kind, size, endpoint.interval)
    descriptor = struct.pack("<BBBBHB", *head)
    if speed is Speed.SUPER:
        per_interval = 0 if endpoint.kind is EndpointType.BULK else size
        descriptor += struct.pack("<BBBBH", 6, DescriptorType.ENDPOINT_COMPANION, 0, 0, per_interval)
    return descriptor


def _bos() -> bytes:
    # USB 2.0 extension with link power management, then SuperSpeed: high speed and up, all functions from high speed.
    usb2 = struct.pack("<BBBI", 7, DescriptorType.DEVICE_CAPABILITY, 2, 2)
    superspeed = struct.pack("<BBBBHBBH", 10, DescriptorType.DEVICE_CAPABILITY, 3, 0, 0x000C, 2, 10, 32)
    capabilities = usb2 + superspeed
    return struct.pack("<BBHB", 5, DescriptorType.BOS, 5 + len(capabilities), 2) + capabilities
