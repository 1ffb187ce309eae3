"""Values, and who may read and change them."""

from typing import Final

import pytest

from usbmux.testing.iphone.access import may_change, may_read
from usbmux.testing.iphone.values import Values


def test_value_in_a_domain_is_not_outside() -> None:
    values = Values({None: {"a": 1}, "domain": {"b": 2}})
    assert values.value("a") == 1
    assert values.value("b", "domain") == 2
    assert values.value("b") is None
    assert values.value("a", "domain") is None
    assert values.everything("unknown") == {}


def test_set_value_new_domain_holds_it() -> None:
    values = Values({})
    assert values.set_value("a", True, "domain")
    assert values.everything("domain") == {"a": True}


def test_set_value_of_an_integer_to_a_boolean_stays_an_integer() -> None:
    values = Values({"domain": {"switch": 0}})
    assert values.set_value("switch", True, "domain")
    assert [(type(value), value) for value in values.everything("domain").values()] == [(int, 1)]


def test_remove_value_twice_finds_it_once() -> None:
    values = Values({None: {"a": 1}})
    assert [values.remove_value("a"), values.remove_value("a")] == [True, False]
    assert not values.remove_value("a", "unknown")


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, "x" * 4097, b"x" * 4097, 1 << 64, "\x01", "\ud800"])
def test_set_value_that_replies_cannot_hold_is_refused(value: object) -> None:
    values = Values({None: {"a": 1}})
    assert not values.set_value("a", value)
    assert values.value("a") == 1


def test_set_value_beyond_the_room_is_refused_but_changes_are_taken() -> None:
    values = Values({})
    assert all(values.set_value(f"key {number}", number, "domain") for number in range(1024))
    assert not values.set_value("one more", 0)
    assert values.set_value("key 0", "changed", "domain")


def test_clock_that_is_set_goes_on_from_there() -> None:
    now = 1000.0
    values = Values({None: {"TimeIntervalSince1970": 0.0}}, now=lambda: now)
    assert values.value("TimeIntervalSince1970") == 1000.0
    assert values.set_value("TimeIntervalSince1970", 5000)
    now = 1001.0
    assert values.value("TimeIntervalSince1970") == 5001.0


NEEDED_WITHOUT_SESSION: Final = (
    "BuildVersion",
    "DeviceClass",
    "DeviceName",
    "DevicePublicKey",
    "ProductName",
    "ProductType",
    "ProductVersion",
    "TimeIntervalSince1970",
    "UniqueChipID",
    "UniqueDeviceID",
    "WiFiAddress",
)


def test_access_without_session_is_to_what_clients_need() -> None:
    assert all(may_read(key, None, in_session=False) for key in NEEDED_WITHOUT_SESSION)
    assert not any(may_read(key, None, in_session=False) for key in ("SerialNumber", "PhoneNumber"))
    assert not may_read("ProductVersion", "com.apple.mobile.battery", in_session=False)
    assert may_change("UntrustedHostBUID", None, in_session=False)
    assert not may_change("UntrustedHostBUID", "domain", in_session=False)
    assert not may_change("DeviceName", None, in_session=False)


def test_access_in_session_is_to_everything_but_who_the_phone_is() -> None:
    assert may_read("SerialNumber", None, in_session=True)
    assert may_change("DeviceName", None, in_session=True)
    assert may_change("anything", "domain", in_session=True)
    assert not may_change("UniqueDeviceID", None, in_session=True)
