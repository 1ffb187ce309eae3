"""A host with one simulated USB device, and what it makes of the device's descriptors."""

from collections.abc import Callable

from usbmux.testing import Speed, UsbDevice, UsbDeviceOptions
from usbmux.testing.usb_control import Request, RequestType, SetupPacket
from usbmux.testing.usb_endpoint import TransferStatus
from usbmux.testing.usb_phone import phone_kinds
from usbmux.usb.descriptors import Configuration, DeviceDescriptors, Endpoint, Interface
from usbmux.usb.pipe import UsbDeviceInfo


class Echo:
    """A `UsbFunction` that sends back what it gets."""

    max_packet_size = 512
    info = UsbDeviceInfo("00008030-001A2B3C4D5E6F01", 0x12A8, location_id=0, connection_speed=480_000_000, port_path="")

    def __init__(self) -> None:
        self.transfers: list[bytes] = []
        self.log: list[str] = []
        self.send: Callable[[bytes], None] = lambda data: None

    def connected(self, send: Callable[[bytes], None]) -> None:
        self.log.append("connected")
        self.send = send

    def bulk_out(self, data: bytes) -> None:
        self.transfers.append(data)
        self.send(data)

    def disconnected(self) -> None:
        self.log.append("disconnected")


class Bus:
    """The host's side of a device."""

    def __init__(self, *, speed: Speed = Speed.HIGH, options: UsbDeviceOptions | None = None) -> None:
        self.function = Echo()
        self.device = UsbDevice(phone_kinds(self.function, speed), self.function, options=options)
        self.ended: list[tuple[int, TransferStatus, bytes]] = []
        self.attach()

    def attach(self) -> None:
        self.device.attach(lambda tag, status, data: self.ended.append((tag, status, data)))

    def control(self, kind: int, request: int, value: int = 0, index: int = 0, length: int = 0xFFFF) -> bytes | None:
        return self.device.control(SetupPacket(kind, request, value, index, length))

    def descriptor(self, value: int, length: int = 0xFFFF) -> bytes | None:
        return self.control(RequestType.FROM_DEVICE, Request.GET_DESCRIPTOR, value, length=length)

    def taken(self) -> list[tuple[int, TransferStatus, bytes]]:
        ended, self.ended = self.ended, []
        return ended


def configured(configuration: int = 4) -> Bus:
    bus = Bus()
    assert bus.control(RequestType.TO_DEVICE, Request.SET_CONFIGURATION, configuration) == b""
    return bus


def parsed(bus: Bus) -> DeviceDescriptors:
    """What a host makes of the bytes."""
    device = bus.descriptor(0x0100)
    assert device is not None
    configurations = []
    for index in range(device[17]):
        data = bus.descriptor(0x0200 | index)
        assert data is not None
        assert int.from_bytes(data[2:4], "little") == len(data)
        configurations.append(parsed_configuration(data))
    vendor, product = (int.from_bytes(device[start : start + 2], "little") for start in (8, 10))
    return DeviceDescriptors(1, 2, (1,), 3, vendor, product, device[16], tuple(configurations))


def parsed_configuration(data: bytes) -> Configuration:
    interfaces: list[tuple[bytes, list[Endpoint]]] = []
    start = 0
    while start < len(data):
        piece = data[start : start + data[start]]
        start += len(piece)
        if piece[1] == 4:
            interfaces.append((piece, []))
        elif piece[1] == 5:
            interfaces[-1][1].append(Endpoint(piece[2], piece[3], int.from_bytes(piece[4:6], "little")))
    for head, endpoints in interfaces:
        assert head[4] == len(endpoints)
    assert data[4] == len({head[2] for head, _ in interfaces})
    return Configuration(
        data[5],
        tuple(
            Interface(head[2], head[3], head[5], head[6], head[7], tuple(endpoints)) for head, endpoints in interfaces
        ),
    )
