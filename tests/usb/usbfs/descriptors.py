"""Builds the descriptors of phones, as bytes that libusb parses."""

import struct
from dataclasses import dataclass, field

ENDPOINT_OUT = 0x04
ENDPOINT_IN = 0x85

MUX = (255, 254, 2)
PICTURES = (6, 1, 1)
TETHERING = (255, 253, 1)


@dataclass(frozen=True, slots=True)
class InterfaceKind:
    """An interface by its class, and its bulk endpoints."""

    triple: tuple[int, int, int]
    endpoints: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceKind:
    """A device by its configurations: numbers of configurations and the interfaces in each."""

    configurations: dict[int, tuple[InterfaceKind, ...]]
    vendor_id: int = 0x05AC
    product_id: int = 0x12A8
    max_packet_size: int = 512
    serial_number: str = "00008030001A2B3C4D5E6F70"
    strings: dict[int, bytes] = field(default_factory=dict)

    def descriptors(self) -> bytes:
        """The device descriptor and all configuration descriptors."""
        device = struct.pack(
            "<BBHBBBBHHHBBBB",
            18,
            1,
            0x0200,
            0,
            0,
            0,
            64,
            self.vendor_id,
            self.product_id,
            0x0100,
            1,
            2,
            3 if self.serial_number else 0,
            len(self.configurations),
        )
        return device + b"".join(self._configuration(value) for value in self.configurations)

    def string(self, index: int) -> bytes | None:
        """A string descriptor; None where the device would stall."""
        if index in self.strings:
            return self.strings[index]
        if index == 0:
            return bytes([4, 3, 0x09, 0x04])
        if index == 3:
            text = self.serial_number.encode("utf-16-le")
            return bytes([2 + len(text), 3]) + text
        return None

    def _configuration(self, value: int) -> bytes:
        body = b""
        for number, interface in enumerate(self.configurations[value]):
            body += struct.pack("<BBBBBBBBB", 9, 4, number, 0, len(interface.endpoints), *interface.triple, 0)
            for address in interface.endpoints:
                body += struct.pack("<BBBBHB", 7, 5, address, 2, self.max_packet_size, 0)
        count = len(self.configurations[value])
        return struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), count, value, 0, 0xC0, 250) + body


def phone_configurations() -> dict[int, tuple[InterfaceKind, ...]]:
    """The four configurations of a phone in its initial mode: the mux is in all but the first two."""
    pictures = InterfaceKind(PICTURES, (0x02, 0x81))
    mux = InterfaceKind(MUX, (ENDPOINT_OUT, ENDPOINT_IN))
    tethering = InterfaceKind(TETHERING, (0x06, 0x87))
    return {1: (pictures,), 2: (pictures,), 3: (pictures, mux), 4: (pictures, mux, tethering)}
