"""What is Apple's about the simulated device: the configurations of an iPhone, mode by mode, and its names."""

import hashlib
from typing import Final

from usbmux.testing.usb_descriptors import DeviceKind, InterfaceKind, Speed
from usbmux.usb.function import UsbFunction

ENDPOINT_OUT: Final = 0x04
"""The mux interface's endpoint from the host."""
ENDPOINT_IN: Final = 0x85
"""The mux interface's endpoint to the host."""
INITIAL_MODE: Final = 1

MUX: Final = (255, 254, 2)
PICTURES: Final = (6, 1, 1)
ACCESSORY: Final = (3, 0, 0)
TETHERING: Final = (255, 253, 1)
SCREEN: Final = (255, 42, 255)
NETWORK: Final = (2, 13, 0)
NETWORK_DATA: Final = (10, 0, 1)

_DASHED_LENGTH: Final = 25
_DASH_AT: Final = 8

_pictures: Final = InterfaceKind(PICTURES, (0x02, 0x81), interrupt_endpoints=(0x83,))
_accessory: Final = InterfaceKind(ACCESSORY, interrupt_endpoints=(0x81,))
_mux: Final = InterfaceKind(MUX, (ENDPOINT_OUT, ENDPOINT_IN))
# Linux takes its driver for tethering to the second alternate setting.
_tethering: Final = InterfaceKind(TETHERING, (0x06, 0x87), alternate=1)
_screen: Final = InterfaceKind(SCREEN, (0x08, 0x89))
_network: Final = (
    InterfaceKind(NETWORK, interrupt_endpoints=(0x8A,)),
    InterfaceKind(NETWORK_DATA, (0x0B, 0x8C), alternate=1),
)


def phone_configurations(mode: int = INITIAL_MODE) -> dict[int, tuple[InterfaceKind, ...]]:
    """The configurations in a mode from 1 to 5; mode 5 alone has no mux, and the others have it in 3 and above."""
    if mode == 5:
        return {1: (_pictures, *_network)}
    basic = (_pictures, _mux)
    configurations: dict[int, tuple[InterfaceKind, ...]] = {
        1: (_pictures,),
        2: (_accessory,),
        3: basic,
        4: (*basic, _tethering),
    }
    more = {1: (), 2: ((_screen,),), 3: (_network,), 4: (_network, (_tethering, *_network))}[mode]
    for interfaces in more:
        configurations[len(configurations) + 1] = (*basic, *interfaces)
    return configurations


def phone_kinds(function: UsbFunction, speed: Speed) -> dict[int, DeviceKind]:
    """The device that carries a function, such as a `SimulatedPhone`, in each of its modes."""
    return {
        mode: DeviceKind(
            phone_configurations(mode),
            product_id=function.info.product_id,
            speed=speed,
            serial_number=serial_on_wire(function.info.serial_number),
        )
        for mode in range(1, 6)
    }


def serial_on_wire(udid: str) -> str:
    """The serial number that a phone of this UDID has in its descriptor: the dash after the eighth is not in it."""
    is_dashed = len(udid) == _DASHED_LENGTH and udid[_DASH_AT] == "-"
    return udid.replace("-", "", 1) if is_dashed else udid


def hardware_address(serial_number: str) -> bytes:
    """The address of the phone's network interface: six bytes, one address for each serial number."""
    # Locally administered, of a single station.
    return b"\x02" + hashlib.sha256(serial_number.encode()).digest()[:5]
