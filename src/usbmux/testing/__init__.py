"""The other end: phones to test against, for this project's tests and for other people's."""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = [
    "AcceptsLate",
    "PhoneOptions",
    "PhoneStream",
    "Pluggable",
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
    "http",
    "load_phones",
    "load_pluggables",
    "named",
    "pattern",
    "source",
    "tcp_endpoint",
    "unix_endpoint",
]

if TYPE_CHECKING:
    from usbmux.testing.config import default_phones, load_phones, load_pluggables
    from usbmux.testing.options import PhoneOptions
    from usbmux.testing.phone import Pluggable, SimulatedPhone
    from usbmux.testing.ports import (
        AcceptsLate,
        PortHandler,
        digest,
        discard,
        echo,
        http,
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
else:
    # What a program does not use, it does not pay for: `usbmuxd --simulate` plugs phones into no virtual machine.
    _MODULES = {
        "config": {"default_phones", "load_phones", "load_pluggables"},
        "options": {"PhoneOptions"},
        "phone": {"Pluggable", "SimulatedPhone"},
        "ports": {"AcceptsLate", "PortHandler", "digest", "discard", "echo", "http", "named", "pattern", "source"}
        | {"tcp_endpoint", "unix_endpoint"},
        "replay": {"ReplayedDevice"},
        "running": {"RunningDaemon"},
        "stream": {"PhoneStream"},
        "usb_descriptors": {"Speed"},
        "usb_device": {"UsbDevice", "UsbDeviceOptions"},
        "usbredir": {"UsbredirServer"},
    }

    def __getattr__(name: str) -> object:
        if name == "SimulatedBus":
            return import_module("usbmux.usb.simulated").SimulatedBus
        for module, names in _MODULES.items():
            if name in names:
                return getattr(import_module(f"usbmux.testing.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return [*globals(), *set(__all__).difference(globals())]
