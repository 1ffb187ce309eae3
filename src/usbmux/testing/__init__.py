"""The other end: phones to test against, for this project's tests and for other people's."""

from usbmux.testing.config import default_phones, load_phones
from usbmux.testing.options import PhoneOptions
from usbmux.testing.phone import SimulatedPhone
from usbmux.testing.ports import (
    AcceptsLate,
    PortHandler,
    digest,
    discard,
    echo,
    named,
    pattern,
    source,
    tcp_endpoint,
    unix_endpoint,
)
from usbmux.testing.replay import ReplayedDevice
from usbmux.testing.running import RunningDaemon
from usbmux.testing.stream import PhoneStream
from usbmux.testing.usb_descriptors import Speed
from usbmux.testing.usb_device import UsbDevice, UsbDeviceOptions
from usbmux.testing.usbredir import UsbredirServer
from usbmux.usb.simulated import SimulatedBus

__all__ = [
    "AcceptsLate",
    "PhoneOptions",
    "PhoneStream",
    "PortHandler",
    "ReplayedDevice",
    "RunningDaemon",
    "SimulatedBus",
    "SimulatedPhone",
    "Speed",
    "UsbDevice",
    "UsbDeviceOptions",
    "UsbredirServer",
    "default_phones",
    "digest",
    "discard",
    "echo",
    "load_phones",
    "named",
    "pattern",
    "source",
    "tcp_endpoint",
    "unix_endpoint",
]
