"""What a simulated device says to the packets of a usbredir guest that are answered at once: all but bulk transfers."""

import struct
from typing import Final

from usbmux.errors import RemoteProtocolError
from usbmux.testing.usb_control import SetupPacket
from usbmux.testing.usb_descriptors import DEVICE_VERSION, IS_IN, EndpointType, Speed
from usbmux.testing.usb_device import UsbDevice
from usbmux.testing.usbredir_packet import Capability, PacketType, RedirPacket
from usbmux.testing.usbredir_payload import (
    ControlPacket,
    DeviceConnect,
    EndpointEntry,
    InterfaceEntry,
    RedirSpeed,
    Status,
    encode_ep_info,
    encode_interface_info,
)

_CONTROL_ENDPOINT: Final = EndpointEntry(kind=0, interval=0, interface=0, max_packet_size=64)
_CONTROL_REQUESTS: Final = {
    PacketType.SET_CONFIGURATION: "B",
    PacketType.GET_CONFIGURATION: "",
    PacketType.SET_ALT_SETTING: "BB",
    PacketType.GET_ALT_SETTING: "B",
}
"""Those with packets of their own, and the fields of these."""
_SPEEDS: Final = {Speed.HIGH: RedirSpeed.HIGH, Speed.SUPER: RedirSpeed.SUPER}


def device_announcement(device: UsbDevice, capabilities: Capability) -> list[RedirPacket]:
    """The packets that tell a guest of a device that was plugged in."""
    kind = device.kind
    connect = DeviceConnect(_SPEEDS[kind.speed], (0, 0, 0), kind.vendor_id, kind.product_id, DEVICE_VERSION)
    announced = RedirPacket(PacketType.DEVICE_CONNECT, 0, connect.encode(capabilities))
    return [*_interface_packets(device, capabilities), announced]


def answer_packet(device: UsbDevice, packet: RedirPacket, capabilities: Capability) -> list[RedirPacket]:
    """Do what a packet asks for, and answer.

    Raises:
        RemoteProtocolError: Its payload is malformed, or only this side may send such a packet.
    """
    match packet.kind:
        case PacketType.RESET:
            _fields(packet, "")
            device.reset()
            return []
        case PacketType.CONTROL_PACKET:
            return _control(device, packet, capabilities)
        case PacketType.SET_CONFIGURATION | PacketType.GET_CONFIGURATION:
            return _configuration(device, packet, capabilities)
        case PacketType.SET_ALT_SETTING | PacketType.GET_ALT_SETTING:
            return _alternate(device, packet, capabilities)
        case PacketType.START_INTERRUPT_RECEIVING | PacketType.STOP_INTERRUPT_RECEIVING:
            return [_interrupt_receiving(device, packet)]
        case PacketType.FILTER_FILTER | PacketType.ISO_PACKET:
            return []  # neither is answered, and an isochronous endpoint is never there
        case _:
            return [_refusal(packet)]


def check_control_request(packet: RedirPacket) -> None:
    """Look at a packet that `answer_packet` will answer later.

    Raises:
        RemoteProtocolError: Its payload is malformed.
    """
    if packet.kind is PacketType.CONTROL_PACKET:
        _control_asked(packet)
    else:
        _fields(packet, _CONTROL_REQUESTS[packet.kind])


def _control_asked(packet: RedirPacket) -> ControlPacket:
    asked = ControlPacket.decode(packet.payload)
    if len(asked.data) != (0 if asked.request_type & IS_IN else asked.length):
        raise RemoteProtocolError(
            f"control packet for {asked.length} bytes with {len(asked.data)}", packet.payload[:16]
        )
    return asked


def _control(device: UsbDevice, packet: RedirPacket, capabilities: Capability) -> list[RedirPacket]:
    asked = _control_asked(packet)
    is_in = bool(asked.request_type & IS_IN)
    before = device.configuration, device.interfaces
    setup = SetupPacket(asked.request_type, asked.request, asked.value, asked.index, asked.length)
    data = device.control(setup) if asked.endpoint & ~IS_IN == 0 else None
    status = Status.STALL if data is None else Status.SUCCESS
    moved = asked.length if data is not None and not is_in else len(data or b"")
    answer = ControlPacket(
        asked.endpoint, asked.request, asked.request_type, status, asked.value, asked.index, moved, data or b""
    )
    has_changed = before != (device.configuration, device.interfaces)
    changes = _interface_packets(device, capabilities) if has_changed else []
    return [*changes, RedirPacket(packet.kind, packet.id, answer.encode())]


def _configuration(device: UsbDevice, packet: RedirPacket, capabilities: Capability) -> list[RedirPacket]:
    status, changes = Status.SUCCESS, list[RedirPacket]()
    fields = _fields(packet, _CONTROL_REQUESTS[packet.kind])
    if packet.kind is PacketType.SET_CONFIGURATION:
        if device.set_configuration(*fields):
            changes = _interface_packets(device, capabilities)
        else:
            status = Status.STALL
    payload = bytes((status, device.configuration))
    return [*changes, RedirPacket(PacketType.CONFIGURATION_STATUS, packet.id, payload)]


def _alternate(device: UsbDevice, packet: RedirPacket, capabilities: Capability) -> list[RedirPacket]:
    status, changes = Status.SUCCESS, list[RedirPacket]()
    number, *alternate = _fields(packet, _CONTROL_REQUESTS[packet.kind])
    if packet.kind is PacketType.SET_ALT_SETTING:
        if device.set_interface(number, *alternate):
            changes = _interface_packets(device, capabilities)
        else:
            status = Status.STALL
    settings = [interface.alternate for interface in device.interfaces if interface.number == number]
    if not settings:
        status = Status.STALL
    payload = bytes((status, number, settings[0] if settings else 0))
    return [*changes, RedirPacket(PacketType.ALT_SETTING_STATUS, packet.id, payload)]


def _interrupt_receiving(device: UsbDevice, packet: RedirPacket) -> RedirPacket:
    # The phone never has an interrupt to report, so a guest that receives them receives none.
    (address,) = _fields(packet, "B")
    is_there = address & IS_IN and any(
        endpoint.address == address and endpoint.kind is EndpointType.INTERRUPT
        for interface in device.interfaces
        for endpoint in interface.kind.endpoints_of(interface.alternate)
    )
    payload = bytes((Status.SUCCESS if is_there else Status.INVALID, address))
    return RedirPacket(PacketType.INTERRUPT_RECEIVING_STATUS, packet.id, payload)


def _refusal(packet: RedirPacket) -> RedirPacket:
    """The answer to what no phone here can do."""
    invalid = Status.INVALID
    match packet.kind:
        case PacketType.START_ISO_STREAM:
            address, _packets, _requests = _fields(packet, "BBB")
            return RedirPacket(PacketType.ISO_STREAM_STATUS, packet.id, bytes((invalid, address)))
        case PacketType.STOP_ISO_STREAM:
            (address,) = _fields(packet, "B")
            return RedirPacket(PacketType.ISO_STREAM_STATUS, packet.id, bytes((invalid, address)))
        case PacketType.INTERRUPT_PACKET:
            address = (packet.payload or b"\0")[0]
            return RedirPacket(packet.kind, packet.id, bytes((address, invalid, 0, 0)))
        case PacketType.ALLOC_BULK_STREAMS:
            endpoints, streams = _fields(packet, "II")
            return RedirPacket(
                PacketType.BULK_STREAMS_STATUS, packet.id, struct.pack("<IIB", endpoints, streams, invalid)
            )
        case PacketType.FREE_BULK_STREAMS:
            (endpoints,) = _fields(packet, "I")
            return RedirPacket(PacketType.BULK_STREAMS_STATUS, packet.id, struct.pack("<IIB", endpoints, 0, invalid))
        case PacketType.START_BULK_RECEIVING:
            stream, _size, address, _count = _fields(packet, "IIBB")
            return RedirPacket(
                PacketType.BULK_RECEIVING_STATUS, packet.id, struct.pack("<IBB", stream, address, invalid)
            )
        case PacketType.STOP_BULK_RECEIVING:
            stream, address = _fields(packet, "IB")
            return RedirPacket(
                PacketType.BULK_RECEIVING_STATUS, packet.id, struct.pack("<IBB", stream, address, invalid)
            )
        case _:
            raise RemoteProtocolError(f"{packet.kind.name} comes from the side with the device", packet.payload[:16])


def _interface_packets(device: UsbDevice, capabilities: Capability) -> list[RedirPacket]:
    speed = device.kind.speed
    endpoints = {0: _CONTROL_ENDPOINT, IS_IN: _CONTROL_ENDPOINT}
    for interface in device.interfaces:
        for endpoint in interface.kind.endpoints_of(interface.alternate):
            size = endpoint.max_packet_size(speed)
            endpoints[endpoint.address] = EndpointEntry(endpoint.kind, endpoint.interval, interface.number, size)
    interfaces = [InterfaceEntry(interface.number, interface.kind.triple) for interface in device.interfaces]
    return [
        RedirPacket(PacketType.EP_INFO, 0, encode_ep_info(endpoints, capabilities)),
        RedirPacket(PacketType.INTERFACE_INFO, 0, encode_interface_info(interfaces)),
    ]


def _fields(packet: RedirPacket, layout: str) -> tuple[int, ...]:
    """The fields of a payload.

    Raises:
        RemoteProtocolError: Its length is another.
    """
    try:
        return struct.unpack(f"<{layout}", packet.payload)
    except struct.error:
        expected = struct.calcsize(f"<{layout}")
        text = f"{packet.kind.name}: expected {expected} bytes, received {len(packet.payload)}"
        raise RemoteProtocolError(text, packet.payload[:16]) from None
