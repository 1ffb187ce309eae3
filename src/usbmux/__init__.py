"""usbmux: connections to iPhones over USB, without and with an iPhone."""

from importlib import import_module
from typing import TYPE_CHECKING

from usbmux.control.address import Address, TcpAddress, UnixAddress, parse_address
from usbmux.errors import (
    AddressError,
    AmbiguousDeviceError,
    DaemonUnavailableError,
    DeviceNotFoundError,
    DeviceResetError,
    LocalProtocolError,
    LockdownError,
    NotPairedError,
    PairRecordNotFoundError,
    PhoneLockedError,
    PortRefusedError,
    ProtocolError,
    RemoteProtocolError,
    RequestError,
    RequestTimeoutError,
    TrustDeniedError,
    TrustPendingError,
    UsbAccessError,
    UsbDisconnectedError,
    UsbError,
    UsbmuxError,
    UsbStallError,
    UsbTimeoutError,
)

__version__ = "0.1.0"

__all__ = [
    "Address",
    "AddressError",
    "AmbiguousDeviceError",
    "AsyncClient",
    "AsyncLockdownClient",
    "AsyncStream",
    "AsyncWatch",
    "BlockingStream",
    "Client",
    "DaemonUnavailableError",
    "Device",
    "DeviceAttached",
    "DeviceDetached",
    "DeviceEvent",
    "DeviceNotFoundError",
    "DevicePaired",
    "DeviceResetError",
    "Listener",
    "LocalProtocolError",
    "LockdownClient",
    "LockdownError",
    "MuxDevice",
    "MuxError",
    "MuxVersionError",
    "NotPairedError",
    "PairRecord",
    "PairRecordNotFoundError",
    "PhoneLockedError",
    "PortRefusedError",
    "ProtocolError",
    "RemoteProtocolError",
    "RequestError",
    "RequestTimeoutError",
    "TcpAddress",
    "TrustDeniedError",
    "TrustPendingError",
    "USBMux",
    "UnixAddress",
    "UsbAccessError",
    "UsbDisconnectedError",
    "UsbError",
    "UsbStallError",
    "UsbTimeoutError",
    "UsbmuxError",
    "Watch",
    "__version__",
    "parse_address",
]

if TYPE_CHECKING:
    from usbmux.client.aio import AsyncClient
    from usbmux.client.aio_watch import AsyncWatch
    from usbmux.client.blocking import Client
    from usbmux.client.compat import MuxDevice, MuxError, MuxVersionError, USBMux
    from usbmux.client.device import Device, DeviceAttached, DeviceDetached, DeviceEvent, DevicePaired, Listener
    from usbmux.client.watch import Watch
    from usbmux.lockdown.aio import AsyncLockdownClient
    from usbmux.lockdown.aio_stream import AsyncStream
    from usbmux.lockdown.blocking import LockdownClient
    from usbmux.lockdown.blocking_stream import BlockingStream
    from usbmux.lockdown.pair_record import PairRecord
else:
    # What a program does not use, it does not pay for: the daemon needs no client, and few clients need asyncio.
    _MODULES = {
        "client.aio": {"AsyncClient"},
        "client.aio_watch": {"AsyncWatch"},
        "client.blocking": {"Client"},
        "client.compat": {"MuxDevice", "MuxError", "MuxVersionError", "USBMux"},
        "client.device": {"Device", "DeviceAttached", "DeviceDetached", "DeviceEvent", "DevicePaired", "Listener"},
        "client.watch": {"Watch"},
        "lockdown.aio": {"AsyncLockdownClient"},
        "lockdown.aio_stream": {"AsyncStream"},
        "lockdown.blocking": {"LockdownClient"},
        "lockdown.blocking_stream": {"BlockingStream"},
        "lockdown.pair_record": {"PairRecord"},
    }

    def __getattr__(name: str) -> object:
        for module, names in _MODULES.items():
            if name in names:
                return getattr(import_module(f"usbmux.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return [*globals(), *set(__all__).difference(globals())]
