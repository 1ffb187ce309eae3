"""Identities from TOML."""

import tomllib
from pathlib import Path

import pytest

from usbmux.errors import UsbmuxError
from usbmux.testing.iphone import Identity, load_identity
from usbmux.testing.iphone.identity_file import read_identity


def test_file_with_nothing_is_the_usual_phone(tmp_path: Path) -> None:
    path = tmp_path / "phone.toml"
    path.write_text("")
    assert load_identity(path) == Identity()


def test_file_with_everything_is_that_phone(tmp_path: Path) -> None:
    path = tmp_path / "phone.toml"
    path.write_text(
        """
        udid = "00008110-000A3C1E0C01801E"
        device_name = "Größe"
        without = ["WiFiAddress"]
        [values]
        PhoneNumber = "+1 555 0100"
        Since = 2026-11-22T12:00:00
        Families = [1, 2]
        [domains."com.apple.mobile.battery"]
        BatteryCurrentCapacity = 3
        """,
        encoding="utf-8",
    )
    identity = load_identity(path)
    assert (identity.udid, identity.device_name) == ("00008110-000A3C1E0C01801E", "Größe")
    assert identity.without == {"WiFiAddress"}
    assert identity.values["Families"] == [1, 2]
    assert identity.domains == {"com.apple.mobile.battery": {"BatteryCurrentCapacity": 3}}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('color = "red"', r"phone\.color: unknown key"),
        ("udid = 7", r"phone\.udid: expected a printable string"),
        ('udid = ""', r"phone\.udid: expected 1 to 64"),
        ('udid = "ü"', r"phone\.udid: expected 1 to 64"),
        ('device_name = "a\\u0000"', r"phone\.device_name: expected a printable string"),
        ("values = 7", r"phone\.values: expected a table"),
        ("values.at = 12:00:00", r"phone\.values\.at: no value"),
        ("values.a = [{b = 12:00:00}]", r"phone\.values\.a: no value"),
        ("domains.x = 7", r"phone\.domains\.x: expected a table"),
        ("without = [7]", r"phone\.without: expected a list"),
    ],
)
def test_table_that_is_wrong_names_the_key(text: str, complaint: str) -> None:
    with pytest.raises(UsbmuxError, match=complaint):
        read_identity(tomllib.loads(text), "phone.")


@pytest.mark.parametrize("text", ["=", "\0", pytest.param("a = " + "[" * 10_000, id="too deep")])
def test_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "phone.toml"
    path.write_text(text)
    with pytest.raises(UsbmuxError, match=r"phone\.toml: "):
        load_identity(path)


def test_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsbmuxError, match=r"phone\.toml: "):
        load_identity(tmp_path / "phone.toml")
