"""Who the phone is."""

import plistlib

from usbmux.testing.iphone import Identity

NEEDED = {
    "ProductVersion": str,
    "DeviceClass": str,
    "DevicePublicKey": bytes,
    "WiFiAddress": str,
    "UniqueDeviceID": str,
    "UniqueChipID": int,
    "DieID": int,
    "ProductType": str,
    "BuildVersion": str,
    "DeviceName": str,
    "ProductName": str,
    "SerialNumber": str,
    "TimeIntervalSince1970": float,
    "PasswordProtected": bool,
    "SupportedDeviceFamilies": list,
}


def test_default_identity_has_what_hosts_need_in_their_types() -> None:
    values = Identity().all_domains(b"public key")[None]
    assert {key: type(values.get(key)) for key in NEEDED} == NEEDED


def test_default_identity_has_accessibility_switches_as_integers() -> None:
    switches = Identity().all_domains(b"")["com.apple.Accessibility"]
    for name in ("AssistiveTouch", "VoiceOverTouch", "ZoomTouch"):
        assert type(switches.get(f"{name}EnabledByiTunes")) is int, name


def test_default_identity_can_be_written_as_property_lists() -> None:
    for values in Identity().all_domains(b"").values():
        assert plistlib.loads(plistlib.dumps(values)) == values


def test_identity_of_a_udid_has_its_chip() -> None:
    identity = Identity("00008110-000A3C1E0C01801E")
    assert (identity.chip_id, identity.unique_chip_id) == (0x8110, 0x000A3C1E0C01801E)


def test_identity_of_any_serial_number_has_some_chip() -> None:
    for serial_number in ("x" * 24, "0123456789abcdef" * 2 + "01234567", "zz-zz", "-", ""):
        values = Identity(serial_number).all_domains(b"")[None]
        assert plistlib.loads(plistlib.dumps(values))["UniqueDeviceID"] == serial_number


def test_identities_of_two_phones_differ() -> None:
    one, other = (Identity(udid).all_domains(b"")[None] for udid in ("00008030-01", "00008030-02"))
    distinct = ("SerialNumber", "UniqueChipID", "DieID", "WiFiAddress", "BluetoothAddress", "EthernetAddress")
    assert all(one[key] != other[key] for key in distinct)
    assert one == Identity("00008030-01").all_domains(b"")[None]


def test_identity_with_other_values_has_them() -> None:
    battery = "com.apple.mobile.battery"
    identity = Identity(
        device_name="Ada",
        values={"PhoneNumber": "+1 555 0100", "ModelNumber": "other"},
        domains={battery: {"BatteryCurrentCapacity": 3}, "com.example": {"a": 1}},
        without=frozenset({"WiFiAddress"}),
    )
    domains = identity.all_domains(b"")
    outside = domains[None]
    assert (outside["DeviceName"], outside["PhoneNumber"], outside["ModelNumber"]) == ("Ada", "+1 555 0100", "other")
    assert "WiFiAddress" not in outside
    assert domains[battery]["BatteryCurrentCapacity"] == 3
    assert domains[battery]["HasBattery"] is True
    assert domains["com.example"] == {"a": 1}
