"""Which devices count, which interface carries the mux, which mode a phone is in: decisions on plain values.

The interface decides, never the product id alone: ids that were once listed for phones also belong to a Mac at the
other end of a cable. Only where there is no mux interface to see must a phone be known by its id.
"""

from codecs import utf_16_le_decode
from typing import Final

from usbmux.errors import UsbError
from usbmux.usb.descriptors import Configuration, DeviceDescriptors, Endpoint, Interface
from usbmux.values import frozen

VENDOR_ID: Final = 0x05AC
MODES: Final = range(1, 6)
"""1 initial, 2 screen capture, 3 CDC-NCM, 4 USB Ethernet and CDC-NCM, 5 CDC-NCM without a mux interface."""
DEFAULT_MODE: Final = 1
"""The mode a phone wakes up in; the only one that is known to leave tethering alone."""

_T2_PRODUCT_ID: Final = 0x8600
_T2_CONFIGURATION: Final = 1
PHONE_PRODUCT_IDS: Final = range(0x1290, 0x12B0)
MUX_INTERFACE: Final = (255, 254, 2)
_SCREEN_INTERFACE: Final = (255, 42, 255)
_NCM_INTERFACE: Final = (2, 13)
_BULK: Final = 2
_UNCHANGED_SERIALS: Final = range(1, 65)
_DASHED_LENGTH: Final = 24
_STRING_DESCRIPTOR: Final = 3
_ENGLISH: Final = 0x0409

# Bit/s by libusb's number; an unknown speed counts as high speed, which is what most phones have.
_HIGH_SPEED: Final = 480_000_000
_CONNECTION_SPEEDS: Final = {
    1: 1_500_000,
    2: 12_000_000,
    3: _HIGH_SPEED,
    4: 5_000_000_000,
    5: 10_000_000_000,
    6: 20_000_000_000,
}


@frozen
class MuxInterface:
    """Where the mux of a device is: what to configure, what to claim, what to read and write."""

    configuration: int
    number: int
    alternate_setting: int
    endpoint_in: int
    endpoint_out: int
    max_packet_size: int
    """wMaxPacketSize of the OUT endpoint."""


def choose_mux_interface(device: DeviceDescriptors, active_configuration: int | None = None) -> MuxInterface | None:
    """The mux interface to use: in the active configuration if it is there, else in the highest that has one.

    Args:
        device: Who it is; anything that is not Apple's has no mux interface.
        active_configuration: bConfigurationValue in force, 0 for none; None while it is not known.
    """
    if device.vendor_id != VENDOR_ID:
        return None
    found = {mux.configuration: mux for mux in map(_find_mux_interface, device.configurations) if mux is not None}
    if device.product_id == _T2_PRODUCT_ID:
        # The T2 chip must stay in its first configuration.
        return found.get(_T2_CONFIGURATION)
    if active_configuration in found:
        return found[active_configuration]
    return found[max(found)] if found else None


def is_phone_without_mux(device: DeviceDescriptors) -> bool:
    """Whether this is a phone whose mode hides the mux, so that another mode would show it."""
    is_phone = device.vendor_id == VENDOR_ID and device.product_id in PHONE_PRODUCT_IDS
    return is_phone and choose_mux_interface(device) is None


def guess_mode(device: DeviceDescriptors) -> int | None:
    """The mode that the set of configurations gives away, None if it fits none.

    The phone's answer to the mode query is no help: it does not name the mode.
    """
    match len(device.configurations):
        case 0:
            return None
        case 1:
            return 5
        case 2 | 3 | 4:
            return 1
        case 5:
            return _guess_mode_by_neighbour(device)
        case 6:
            return 4
        case _:
            return None


def location_id(device: DeviceDescriptors) -> int:
    """Bus and address as one number of 32 bits."""
    return device.bus << 16 | device.address


def connection_speed(device: DeviceDescriptors) -> int:
    """Link speed in bit/s."""
    return _CONNECTION_SPEEDS.get(device.speed, _HIGH_SPEED)


def port_path(device: DeviceDescriptors) -> str:
    """Bus and hub ports as ``1-2.3``; ``1-0`` where the system does not tell the ports."""
    return f"{device.bus}-{'.'.join(map(str, device.ports)) or '0'}"


def device_name(device: DeviceDescriptors) -> str:
    """Port path and ids: ``1-2.3 (05ac:12a8)``."""
    return f"{port_path(device)} ({device.vendor_id:04x}:{device.product_id:04x})"


def parse_serial_number(descriptor: bytes) -> str:
    """The serial number in a string descriptor, in the form in which clients know it.

    Raises:
        UsbError: It is not 1 to 64 printable ASCII characters: it will name files, so nothing else is let in.
    """
    if len(descriptor) < 2 or descriptor[1] != _STRING_DESCRIPTOR:
        raise UsbError(f"the serial number is not a string descriptor: {descriptor[:16].hex()}")
    # `bytes.decode` would import a module, which a daemon that serves may have no descriptor or right to read.
    text, _ = utf_16_le_decode(descriptor[2 : descriptor[0]], "replace", True)
    # Some phones pad the string to a fixed length.
    serial_number = text.rstrip("\0 ")
    if len(serial_number) not in _UNCHANGED_SERIALS or not (serial_number.isascii() and serial_number.isprintable()):
        raise UsbError(f"the serial number is not 1 to 64 printable ASCII characters: {text[:64]!a}")
    if len(serial_number) == _DASHED_LENGTH:
        return f"{serial_number[:8]}-{serial_number[8:]}"
    return serial_number


def parse_first_language(descriptor: bytes) -> int:
    """The first language of string descriptor 0; English where it lists none."""
    if len(descriptor) < 4 or descriptor[1] != _STRING_DESCRIPTOR:
        return _ENGLISH
    return int.from_bytes(descriptor[2:4], "little")


def _find_mux_interface(configuration: Configuration) -> MuxInterface | None:
    for interface in configuration.interfaces:
        if (interface.interface_class, interface.subclass, interface.protocol) != MUX_INTERFACE:
            continue
        match _bulk_endpoints(interface, is_in=True), _bulk_endpoints(interface, is_in=False):
            case [endpoint_in], [endpoint_out] if endpoint_out.max_packet_size > 0:
                return MuxInterface(
                    configuration=configuration.value,
                    number=interface.number,
                    alternate_setting=interface.alternate_setting,
                    endpoint_in=endpoint_in.address,
                    endpoint_out=endpoint_out.address,
                    max_packet_size=endpoint_out.max_packet_size,
                )
    return None


def _bulk_endpoints(interface: Interface, *, is_in: bool) -> list[Endpoint]:
    return [
        endpoint
        for endpoint in interface.endpoints
        if endpoint.attributes & 3 == _BULK and bool(endpoint.address & 0x80) is is_in
    ]


def _guess_mode_by_neighbour(device: DeviceDescriptors) -> int | None:
    for configuration in device.configurations:
        if _find_mux_interface(configuration) is None:
            continue
        for interface in configuration.interfaces:
            if (interface.interface_class, interface.subclass, interface.protocol) == _SCREEN_INTERFACE:
                return 2
            if (interface.interface_class, interface.subclass) == _NCM_INTERFACE:
                return 3
    return None
