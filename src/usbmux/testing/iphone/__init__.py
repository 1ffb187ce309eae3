"""A virtual iPhone, which unmodified programs pair with and use; needs the extra ``testing``."""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = [
    "LOCKDOWN_PORT",
    "AfcFaults",
    "AfcService",
    "Application",
    "ApplicationKind",
    "ByteStream",
    "DeviceKey",
    "DiagnosticsRelay",
    "DirectoryTree",
    "FileTree",
    "Framing",
    "Heartbeat",
    "HostRecord",
    "Hosts",
    "HouseArrest",
    "Hub",
    "Identity",
    "LockdownFaults",
    "LogEntry",
    "LogLevel",
    "MemoryTree",
    "OpenMode",
    "OsTraceRelay",
    "PowerAction",
    "Screenshotr",
    "Service",
    "ServiceContext",
    "ServiceFaults",
    "TlsOptions",
    "Trust",
    "Values",
    "VirtualIPhone",
    "default_iphones",
    "load_identity",
    "read_plist",
    "usual_services",
    "write_plist",
]

if TYPE_CHECKING:
    from usbmux.testing.iphone.afc.directory_tree import DirectoryTree
    from usbmux.testing.iphone.afc.faults import AfcFaults
    from usbmux.testing.iphone.afc.file_tree import FileTree, OpenMode
    from usbmux.testing.iphone.afc.memory_tree import MemoryTree
    from usbmux.testing.iphone.afc.service import AfcService
    from usbmux.testing.iphone.byte_stream import ByteStream
    from usbmux.testing.iphone.certificates import DeviceKey
    from usbmux.testing.iphone.faults import Framing, LockdownFaults, ServiceFaults, TlsOptions
    from usbmux.testing.iphone.hosts import HostRecord, Hosts, Trust
    from usbmux.testing.iphone.identity import Identity
    from usbmux.testing.iphone.identity_file import load_identity
    from usbmux.testing.iphone.lockdown_session import LOCKDOWN_PORT
    from usbmux.testing.iphone.phone_file import default_iphones
    from usbmux.testing.iphone.plist_stream import read_plist, write_plist
    from usbmux.testing.iphone.services.application import Application, ApplicationKind
    from usbmux.testing.iphone.services.context import Service, ServiceContext
    from usbmux.testing.iphone.services.diagnostics_relay import DiagnosticsRelay, PowerAction
    from usbmux.testing.iphone.services.heartbeat import Heartbeat
    from usbmux.testing.iphone.services.house_arrest import HouseArrest
    from usbmux.testing.iphone.services.hub import Hub
    from usbmux.testing.iphone.services.log_entry import LogEntry, LogLevel
    from usbmux.testing.iphone.services.os_trace_relay import OsTraceRelay
    from usbmux.testing.iphone.services.screenshotr import Screenshotr
    from usbmux.testing.iphone.values import Values
    from usbmux.testing.iphone.virtual_iphone import VirtualIPhone, usual_services
else:
    _MODULES = {
        "afc.directory_tree": {"DirectoryTree"},  # not on Windows, and nothing else here minds that
        "afc.faults": {"AfcFaults"},
        "afc.file_tree": {"FileTree", "OpenMode"},
        "afc.memory_tree": {"MemoryTree"},
        "afc.service": {"AfcService"},
        "byte_stream": {"ByteStream"},
        "certificates": {"DeviceKey"},
        "faults": {"Framing", "LockdownFaults", "ServiceFaults", "TlsOptions"},
        "hosts": {"HostRecord", "Hosts", "Trust"},
        "identity": {"Identity"},
        "identity_file": {"load_identity"},
        "lockdown_session": {"LOCKDOWN_PORT"},
        "phone_file": {"default_iphones"},
        "plist_stream": {"read_plist", "write_plist"},
        "services.application": {"Application", "ApplicationKind"},
        "services.context": {"Service", "ServiceContext"},
        "services.diagnostics_relay": {"DiagnosticsRelay", "PowerAction"},
        "services.heartbeat": {"Heartbeat"},
        "services.house_arrest": {"HouseArrest"},
        "services.hub": {"Hub"},
        "services.log_entry": {"LogEntry", "LogLevel"},
        "services.os_trace_relay": {"OsTraceRelay"},
        "services.screenshotr": {"Screenshotr"},
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
