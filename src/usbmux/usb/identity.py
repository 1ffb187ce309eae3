"""Asks an opened phone who it is."""

from typing import Final

from usbmux.errors import UsbError, UsbStallError
from usbmux.usb.apple import connection_speed, location_id, parse_first_language, parse_serial_number, port_path
from usbmux.usb.pipe import UsbDeviceInfo
from usbmux.usb.session import UsbSession

_GET_DESCRIPTOR: Final = 6
_STRING: Final = 3 << 8
_MAX_LENGTH: Final = 255


async def read_identity(session: UsbSession) -> UsbDeviceInfo:
    """Read the serial number, and gather the rest from the descriptors.

    Raises:
        UsbError: The phone did not answer, or has no usable serial number.
    """
    device = session.device
    if device.serial_number_index == 0:
        raise UsbError(f"{session.name} has no serial number")
    try:
        languages = await session.control_read(0, _GET_DESCRIPTOR, _STRING, 0, _MAX_LENGTH)
    except UsbStallError:
        languages = b""
    descriptor = await session.control_read(
        0, _GET_DESCRIPTOR, _STRING | device.serial_number_index, parse_first_language(languages), _MAX_LENGTH
    )
    return UsbDeviceInfo(
        serial_number=parse_serial_number(descriptor),
        product_id=device.product_id,
        location_id=location_id(device),
        connection_speed=connection_speed(device),
        port_path=port_path(device),
    )
