"""A virtual iPhone, which unmodified programs pair with and use; needs the extra ``testing``."""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = [
    "DeviceKey",
    "Framing",
    "HostRecord",
    "Hosts",
    "Identity",
    "LockdownFaults",
    "ServiceFaults",
    "TlsOptions",
    "Trust",
    "Values",
    "VirtualIPhone",
    "load_identity",
    "usual_services",
]

if TYPE_CHECKING:
    from usbmux.testing.iphone.certificates import DeviceKey
    from usbmux.testing.iphone.faults import Framing, LockdownFaults, ServiceFaults, TlsOptions
    from usbmux.testing.iphone.hosts import HostRecord, Hosts, Trust
    from usbmux.testing.iphone.identity import Identity
    from usbmux.testing.iphone.identity_file import load_identity
    from usbmux.testing.iphone.values import Values
    from usbmux.testing.iphone.virtual_iphone import VirtualIPhone, usual_services
else:
    _MODULES = {
        "certificates": {"DeviceKey"},
        "faults": {"Framing", "LockdownFaults", "ServiceFaults", "TlsOptions"},
        "hosts": {"HostRecord", "Hosts", "Trust"},
        "identity": {"Identity"},
        "identity_file": {"load_identity"},
        "values": {"Values"},
        "virtual_iphone": {"VirtualIPhone", "usual_services"},
    }

    def __getattr__(name: str) -> object:
        for module, names in _MODULES.items():
            if name in names:
                return getattr(import_module(f"usbmux.testing.iphone.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return [*globals(), *set(__all__).difference(globals())]
