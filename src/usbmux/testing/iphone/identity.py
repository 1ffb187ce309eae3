"""Who a virtual iPhone is."""

import hashlib
from collections.abc import Mapping
from typing import Final

from usbmux.testing.iphone.values import Domain, Value
from usbmux.testing.phone import DEFAULT_UDID
from usbmux.values import field, frozen

_ACTIVATION: Final[Mapping[str, Value]] = {
    "ActivationState": "Activated",
    "ActivationStateAcknowledged": True,
    "HostAttached": True,
    "PasswordProtected": False,
    "TrustedHostAttached": True,
}
_HARDWARE: Final[Mapping[str, Value]] = {
    "BasebandVersion": "5.00.00",
    "BoardId": 4,
    "CPUArchitecture": "arm64e",
    "DeviceColor": "1",
    "FirmwareVersion": "iBoot-8422.142.2.700.1",
    "HasSiDP": True,
    "ModelNumber": "MWM02",
    "PartitionType": "GUID_partition_scheme",
    "ProductName": "iPhone OS",
    "ProtocolVersion": "2",
    "RegionInfo": "LL/A",
    "SupportedDeviceFamilies": [1],
    "TelephonyCapability": True,
}
_CLOCK: Final[Mapping[str, Value]] = {
    "TimeIntervalSince1970": 0.0,
    "TimeZone": "Europe/Berlin",
    "TimeZoneOffsetFromUTC": 3600.0,
    "Uses24HourClock": True,
}
_DOMAINS: Final[Mapping[str, Mapping[str, Value]]] = {
    "com.apple.Accessibility": {  # 0 or 1: go-ios takes no booleans
        "AssistiveTouchEnabledByiTunes": 0,
        "VoiceOverTouchEnabledByiTunes": 0,
        "ZoomTouchEnabledByiTunes": 0,
    },
    "com.apple.disk_usage": {
        "TotalDataAvailable": 96 << 30,
        "TotalDataCapacity": 112 << 30,
        "TotalDiskCapacity": 128 << 30,
        "TotalSystemAvailable": 0,
        "TotalSystemCapacity": 16 << 30,
    },
    "com.apple.international": {
        "Keyboard": "en_US",
        "Language": "en",
        "Locale": "en_US",
        "SupportedLanguages": ["en", "de", "fr", "ja"],
        "SupportedLocales": ["en_US", "de_DE", "fr_FR", "ja_JP"],
    },
    "com.apple.mobile.battery": {
        "BatteryCurrentCapacity": 87,
        "BatteryIsCharging": True,
        "ExternalChargeCapable": True,
        "ExternalConnected": True,
        "FullyCharged": False,
        "GasGaugeCapability": True,
        "HasBattery": True,
    },
    "com.apple.mobile.iTunes": {"MinITunesVersion": "12.9.0"},
    "com.apple.mobile.wireless_lockdown": {"EnableWifiConnections": False, "EnableWifiDebugging": False},
    "com.apple.security.mac.amfi": {"DeveloperModeStatus": True},
}
_DEFAULT_CHIP: Final = 0x8030


@frozen
class Identity:
    """What a phone is made as: an iPhone 11 with iOS 16, unless something else is said.

    Other values (serial number, addresses, chip) are derived from the UDID, and the same for the same UDID.
    """

    udid: str = DEFAULT_UDID
    device_name: str = "Virtual iPhone"
    device_class: str = "iPhone"
    product_type: str = "iPhone12,1"
    product_version: str = "16.7.2"
    build_version: str = "20H115"
    hardware_model: str = "N104AP"
    values: Mapping[str, Value] = field(default_factory=dict)
    """More values outside any domain, or others than the phone would have."""
    domains: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    """More domains, or other values in those that the phone would have."""
    without: frozenset[str] = frozenset()
    """Values outside any domain that the phone does not have, to see who copes."""

    @property
    def chip_id(self) -> int:
        """Which chip; the first half of a UDID says it."""
        first, dash, _ = self.udid.partition("-")
        return int(first, 16) if dash and _is_hexadecimal(first) else _DEFAULT_CHIP

    @property
    def unique_chip_id(self) -> int:
        """The number of the very chip; the second half of a UDID says it."""
        _, _, second = self.udid.partition("-")
        return int(second, 16) if _is_hexadecimal(second) else int.from_bytes(self._digest()[:6])

    def all_domains(self, device_public_key: bytes) -> dict[Domain, dict[str, Value]]:
        """What lockdown tells of the phone at first.

        Args:
            device_public_key: PKCS#1 in PEM.
        """
        outside = {
            **_ACTIVATION,
            **_HARDWARE,
            **_CLOCK,
            **self._named(),
            **self._numbered(),
            "DevicePublicKey": device_public_key,
            **self.values,
        }
        domains: dict[Domain, dict[str, Value]] = {name: dict(values) for name, values in _DOMAINS.items()}
        for name, values in self.domains.items():
            domains.setdefault(name, {}).update(values)
        return {**domains, None: {key: value for key, value in sorted(outside.items()) if key not in self.without}}

    def _named(self) -> dict[str, Value]:
        return {
            "BuildVersion": self.build_version,
            "DeviceClass": self.device_class,
            "DeviceName": self.device_name,
            "HardwareModel": self.hardware_model,
            "ProductType": self.product_type,
            "ProductVersion": self.product_version,
            "UniqueDeviceID": self.udid,
        }

    def _numbered(self) -> dict[str, Value]:
        digest = self._digest()
        return {
            "BluetoothAddress": _address(digest[0:6]),
            "ChipID": self.chip_id,
            "DieID": int.from_bytes(digest[6:13]),
            "EthernetAddress": _address(digest[13:19]),
            "HardwarePlatform": f"t{self.chip_id:x}",
            "ProductionSOC": True,
            "SerialNumber": "F" + digest[19:25].hex()[:11].upper(),
            "UniqueChipID": self.unique_chip_id,
            "WiFiAddress": _address(digest[25:31]),
        }

    def _digest(self) -> bytes:
        return hashlib.sha256(self.udid.encode()).digest()


def _address(octets: bytes) -> str:
    """Made up, and says so by the bit for addresses that no vendor has assigned."""
    return bytes([octets[0] & 0xFC | 0x02, *octets[1:]]).hex(":")


def _is_hexadecimal(text: str) -> bool:
    return 0 < len(text) <= 16 and all(character in "0123456789abcdefABCDEF" for character in text)
