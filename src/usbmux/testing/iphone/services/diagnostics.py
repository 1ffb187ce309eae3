"""What the phone says of its parts when diagnostics_relay is asked."""

from collections.abc import Mapping
from typing import Final

from usbmux.testing.iphone.services.context import DeviceValues

_DESIGN_CAPACITY: Final = 3227
_FULL_CAPACITY: Final = 2945
_CYCLES: Final = 312

REPORTS: Final[Mapping[str, object]] = {
    "GasGauge": {
        "CycleCount": _CYCLES,
        "DesignCapacity": _DESIGN_CAPACITY,
        "FullChargeCapacity": _FULL_CAPACITY,
        "Status": "Success",
    },
    "HDMI": {"Connection": "None", "Status": "Success"},
    "NAND": {"Status": "Success"},
    "WiFi": {"Active": "true", "Status": "Success"},
}
"""The reports that have a name of their own; capacities in mAh."""
_GESTALT_ENDED: Final = (17, 4)
_BATTERY_NAMES: Final = frozenset({"IOPMPowerSource", "AppleSmartBattery", "AppleARMPMUCharger"})
_WIFI_NAMES: Final = frozenset({"AppleBCMWLANSkywalkInterface", "IO80211Interface"})
_PLANES: Final = frozenset({"", "IODeviceTree", "IOPower", "IOService", "IOUSB"})
"""Those that there are; empty for the usual one."""


def registry(request: Mapping[object, object], values: DeviceValues) -> Mapping[str, object]:
    """The entry or plane of the registry that is asked for; nothing if there is none."""
    names = [name for name in (request.get("EntryName"), request.get("EntryClass")) if isinstance(name, str)]
    if not _BATTERY_NAMES.isdisjoint(names):
        return {"IORegistry": battery(values)}
    if not _WIFI_NAMES.isdisjoint(names):
        return {"IORegistry": _wifi(values)}
    plane = request.get("CurrentPlane", "")
    if not names and isinstance(plane, str) and plane in _PLANES:
        return {"IORegistry": _root(values)}
    return {}


def battery(values: DeviceValues) -> dict[str, object]:
    """The battery, as charged as lockdown says; capacities in mAh, amperage in mA, voltage in mV, 0.01 degrees."""
    percent = values.value("BatteryCurrentCapacity", "com.apple.mobile.battery")
    level = percent if isinstance(percent, int) and 0 <= percent <= 100 else 100
    now = values.value("TimeIntervalSince1970")
    is_charging = values.value("BatteryIsCharging", "com.apple.mobile.battery") is True
    return {
        "AbsoluteCapacity": 0,
        "AdapterDetails": {"Current": 1500, "Description": "usb host", "Voltage": 5000, "Watts": 7},
        "AppleRawCurrentCapacity": _FULL_CAPACITY * level // 100,
        "AppleRawMaxCapacity": _FULL_CAPACITY,
        "AtCriticalLevel": level < 5,
        "AtWarnLevel": level < 10,
        "BatteryInstalled": True,
        "BootVoltage": 4050,
        "CurrentCapacity": level,
        "CycleCount": _CYCLES,
        "DesignCapacity": _DESIGN_CAPACITY,
        "ExternalConnected": True,
        "FullyCharged": level == 100,
        "InstantAmperage": 900 if is_charging else 0,
        "IsCharging": is_charging,
        "MaxCapacity": 100,
        "NominalChargeCapacity": _FULL_CAPACITY,
        "Serial": f"B{values.value('SerialNumber')}",
        "Temperature": 2790,
        "UpdateTime": int(now) if isinstance(now, int | float) and 0 <= now < 1 << 32 else 0,
        "Voltage": 4100,
    }


def gestalt(request: Mapping[object, object], values: DeviceValues) -> Mapping[str, object]:
    """The values that are asked for, as far as lockdown has them; phones of version 17.4 and later tell none."""
    if _version(values) >= _GESTALT_ENDED:
        return {"MobileGestalt": {"Status": "MobileGestaltDeprecated"}}
    keys = request.get("MobileGestaltKeys")
    names = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    found = {name: value for name in names if (value := values.value(name)) is not None}
    return {"MobileGestalt": {**found, "Status": "Success"}}


def _wifi(values: DeviceValues) -> dict[str, object]:
    address = values.value("WiFiAddress")
    return {"IOInterfaceName": "en0", "IOMACAddress": _octets(address if isinstance(address, str) else "")}


def _octets(address: str) -> bytes:
    try:
        return bytes.fromhex(address.replace(":", ""))
    except ValueError:
        return b""


def _root(values: DeviceValues) -> dict[str, object]:
    model = values.value("HardwareModel")
    child = {"name": model if isinstance(model, str) else "N104AP", "children": []}
    return {"name": "Root", "children": [child]}


def _version(values: DeviceValues) -> tuple[int, ...]:
    text = values.value("ProductVersion")
    return tuple(int(part) if part.isdecimal() else 0 for part in text.split(".")) if isinstance(text, str) else ()
