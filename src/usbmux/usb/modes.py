"""Switches a phone to another USB mode; it then leaves the bus and comes back as another device."""

import logging
from typing import Final

from usbmux.errors import UsbError, UsbStallError
from usbmux.usb.session import UsbSession

_VENDOR_REQUEST_TO_DEVICE: Final = 0x40
_QUERY_MODE: Final = 0x45
_SWITCH_MODE: Final = 0x52
_ACCEPTED: Final = 0

_log = logging.getLogger("usbmux.usb")


async def knows_modes(session: UsbSession) -> bool:
    """Whether the phone has modes at all.

    Raises:
        UsbError: It did not answer.
    """
    try:
        state = await session.control_read(_VENDOR_REQUEST_TO_DEVICE, _QUERY_MODE, 0, 0, 4)
    except UsbStallError:
        _log.info("%s knows no modes", session.name)
        return False
    # Old systems answer with fewer bytes; what they mean is not known well enough to act on it.
    _log.debug("%s: mode query answered %s", session.name, state.hex(" "))
    return True


async def switch_mode(session: UsbSession, mode: int) -> bool:
    """Ask the phone to change to `mode`.

    Returns:
        Whether it agreed. If so it leaves the bus in a moment.

    Raises:
        UsbError: It did not answer.
    """
    answer = await session.control_read(_VENDOR_REQUEST_TO_DEVICE, _SWITCH_MODE, 0, mode, 1)
    if not answer:
        raise UsbError(f"{session.name} gave an empty answer to the switch to mode {mode}")
    is_accepted = answer[0] == _ACCEPTED
    _log.info("%s %s mode %d", session.name, "changes to" if is_accepted else "refuses", mode)
    return is_accepted
