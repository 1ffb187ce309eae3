"""Settings of dataclasses from tables."""

from __future__ import annotations

import re
from pathlib import Path
from ssl import TLSVersion

import pytest

from usbmux.errors import UsbmuxError
from usbmux.testing.iphone import AfcFaults, Framing, LockdownFaults, ServiceFaults, TlsOptions
from usbmux.testing.iphone.phone_file import SETTINGS
from usbmux.testing.iphone.settings_table import SettingsTable
from usbmux.testing.options import PhoneOptions

FOLDER = Path("/folder")


def test_table_with_nothing_is_the_defaults() -> None:
    for kind in SETTINGS.values():
        assert SettingsTable(kind, FOLDER).read({}, "x") == kind()


def test_table_says_settings_of_every_type() -> None:
    lockdown = {"at_request": 3, "delay_s": 2, "framing": "byte-order-mark", "closes": True, "extra": {"A": [1]}}
    assert SettingsTable(LockdownFaults, FOLDER).read({**lockdown, "error": "E"}, "x") == LockdownFaults(
        at_request=3, delay_s=2.0, framing=Framing.BYTE_ORDER_MARK, closes=True, extra={"A": [1]}, error="E"
    )
    tls = SettingsTable(TlsOptions, FOLDER).read({"minimum_version": "1.3", "key_log": "keys"}, "x")
    assert tls == TlsOptions(minimum_version=TLSVersion.TLSv1_3, key_log=FOLDER / "keys")
    assert SettingsTable(ServiceFaults, FOLDER).read({"reset_text": "no"}, "x") == ServiceFaults(reset_text=b"no")
    mux = SettingsTable(PhoneOptions, FOLDER).read({"acknowledge": "received", "window": 256}, "x")
    assert mux == PhoneOptions(acknowledge="received", window=256)


def test_settings_that_a_file_cannot_say_are_no_keys() -> None:
    assert not {"tamper", "control_texts"} & set(SettingsTable(PhoneOptions, FOLDER).keys)
    assert "window" in SettingsTable(PhoneOptions, FOLDER).keys


@pytest.mark.parametrize(
    ("kind", "table", "message"),
    [
        (AfcFaults, 3, "x: expected a table, found 3"),
        (AfcFaults, {"colour": 1}, "x.colour: unknown key; expected after, longest_read,"),
        (PhoneOptions, {"tamper": 1}, "x.tamper: unknown key"),
        (AfcFaults, {"after": -1}, "x.after: expected a whole number of 0 or more, found -1"),
        (AfcFaults, {"after": True}, "x.after: expected a whole number"),
        (AfcFaults, {"after": 1.5}, "x.after: expected a whole number"),
        (AfcFaults, {"longest_read": "1"}, "x.longest_read: expected a whole number"),
        (LockdownFaults, {"delay_s": -1.0}, "x.delay_s: expected a number of 0 or more, found -1.0"),
        (LockdownFaults, {"delay_s": True}, "x.delay_s: expected a number"),
        (LockdownFaults, {"delay_s": float("nan")}, "x.delay_s: expected a number"),
        (LockdownFaults, {"delay_s": float("inf")}, "x.delay_s: expected a number"),
        (LockdownFaults, {"framing": "bent"}, "x.framing: expected one of right, empty, enormous, cut, byte-order"),
        (LockdownFaults, {"framing": 1}, "x.framing: expected one of"),
        (LockdownFaults, {"extra": 1}, "x.extra: expected a table of values for a property list, found 1"),
        (LockdownFaults, {"extra": {"A": "\0"}}, "x.extra: expected a table of values"),
        (LockdownFaults, {"closes": 1}, "x.closes: expected true or false, found 1"),
        (LockdownFaults, {"error": 1}, "x.error: expected a string, found 1"),
        (ServiceFaults, {"reset_text": 1}, "x.reset_text: expected a string, found 1"),
        (TlsOptions, {"minimum_version": "1.4"}, "x.minimum_version: expected one of 1.0, 1.1, 1.2, 1.3, found '1.4'"),
        (TlsOptions, {"key_log": 1}, "x.key_log: expected a path, found 1"),
        (PhoneOptions, {"acknowledge": "never"}, "x.acknowledge: expected one of delivered, received, found 'never'"),
    ],
)
def test_table_with_a_mistake_names_the_key(kind: type[object], table: object, message: str) -> None:
    with pytest.raises(UsbmuxError, match=re.escape(message)):
        SettingsTable(kind, FOLDER).read(table, "x")
