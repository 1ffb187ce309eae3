"""What a host may read and change through lockdown."""

from typing import Final

from usbmux.testing.iphone.values import Domain

UNTRUSTED_HOST_KEY: Final = "UntrustedHostBUID"
"""How a host that is not paired yet says who it is."""

# What the host needs to know before somebody has trusted it: to choose TLS, to make the certificates, to name the
# phone on its screen, and what time it has. Nothing that tells one owner from another besides the name and the UDID.
_KEYS_WITHOUT_SESSION: Final = frozenset(
    {
        "BasebandVersion",
        "BoardId",
        "BuildVersion",
        "CPUArchitecture",
        "ChipID",
        "DeviceClass",
        "DeviceColor",
        "DeviceName",
        "DevicePublicKey",
        "DieID",
        "HardwareModel",
        "HasSiDP",
        "PartitionType",
        "ProductName",
        "ProductType",
        "ProductVersion",
        "ProductionSOC",
        "ProtocolVersion",
        "SupportedDeviceFamilies",
        "TelephonyCapability",
        "TimeIntervalSince1970",
        "UniqueChipID",
        "UniqueDeviceID",
        "WiFiAddress",
    }
)
_CHANGEABLE_KEYS: Final = frozenset(
    {"DeviceName", "TimeIntervalSince1970", "TimeZone", "TimeZoneOffsetFromUTC", "Uses24HourClock", UNTRUSTED_HOST_KEY}
)


def may_read(key: str, domain: Domain, *, in_session: bool) -> bool:
    """Whether a host may know the value."""
    return in_session or (domain is None and key in _KEYS_WITHOUT_SESSION)


def may_change(key: str, domain: Domain, *, in_session: bool) -> bool:
    """Whether a host may set or remove the value."""
    if not in_session:
        return domain is None and key == UNTRUSTED_HOST_KEY
    return domain is not None or key in _CHANGEABLE_KEYS
