"""Who a virtual iPhone is, from TOML.

::

    udid = "00008030-001A2B3C4D5E6F01"
    device_name = "Ada's iPhone"         # and the other names of `Identity`
    product_version = "17.5.1"
    without = ["WiFiAddress"]

    [values]
    PhoneNumber = "+1 555 0100"

    [domains."com.apple.mobile.battery"]
    BatteryCurrentCapacity = 3
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeGuard

from usbmux.control.property_list import dump
from usbmux.errors import LocalProtocolError, UsbmuxError
from usbmux.testing.iphone.identity import Identity
from usbmux.testing.iphone.values import Value

_TEXTS: Final = (
    "udid",
    "device_name",
    "device_class",
    "product_type",
    "product_version",
    "build_version",
    "hardware_model",
)
_MAX_UDID_LENGTH: Final = 64


def load_identity(path: str | Path) -> Identity:
    """The identity that a file describes.

    Raises:
        UsbmuxError: It cannot be read or understood; the text names the file and the key.
    """
    import tomllib  # here, because identities out of nothing need none

    try:
        return read_identity(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, UsbmuxError) as error:
        raise UsbmuxError(f"{path}: {error}") from error
    except RecursionError:
        raise UsbmuxError(f"{path}: nested too deep") from None


def read_identity(
    table: Mapping[str, object], place: str = "", *, usual: Identity | None = None, besides: tuple[str, ...] = ()
) -> Identity:
    """The identity that a table describes.

    Args:
        table: What was read.
        place: What error messages put before a key.
        usual: What keys left out are; None for as `Identity` has them.
        besides: Keys that were taken out of the table already, and that error messages name too.

    Raises:
        UsbmuxError: A key is unknown, or its value of another type.
    """
    known = (*_TEXTS, "values", "domains", "without")
    for key in table:
        if key not in known:
            raise UsbmuxError(f"{place}{key}: unknown key; expected {', '.join((*known, *besides))}")
    usual = usual or Identity()
    texts = {key: _read_text(f"{place}{key}", table.get(key, getattr(usual, key))) for key in _TEXTS}
    domains = _read_table(f"{place}domains", table.get("domains", {}))
    identity = Identity(
        udid=texts["udid"],
        device_name=texts["device_name"],
        device_class=texts["device_class"],
        product_type=texts["product_type"],
        product_version=texts["product_version"],
        build_version=texts["build_version"],
        hardware_model=texts["hardware_model"],
        values=_read_values(f"{place}values", table.get("values", {})),
        domains={name: _read_values(f"{place}domains.{name}", values) for name, values in domains},
        without=frozenset(_read_names(f"{place}without", table.get("without", []))),
    )
    if not (identity.udid.isascii() and 0 < len(identity.udid) <= _MAX_UDID_LENGTH):
        raise UsbmuxError(f"{place}udid: expected 1 to {_MAX_UDID_LENGTH} ASCII characters, found {identity.udid!r}")
    _check_absent(f"{place}without", identity)
    return identity


def _check_absent(name: str, identity: Identity) -> None:
    present = replace(identity, without=frozenset()).all_domains(b"")[None]
    for key in sorted(identity.without - present.keys()):
        raise UsbmuxError(f"{name}: {key!r} is none of {', '.join(present)}")


def _read_text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise UsbmuxError(f"{name}: expected a printable string, found {value!r}")
    return value


def _read_table(name: str, value: object) -> list[tuple[str, object]]:
    if not isinstance(value, dict):
        raise UsbmuxError(f"{name}: expected a table, found {value!r}")
    return list(value.items())


def _read_values(name: str, value: object) -> dict[str, Value]:
    return {key: _read_value(f"{name}.{key}", item) for key, item in _read_table(name, value)}


def _read_value(name: str, value: object) -> Value:
    if not _is_value(value):
        raise UsbmuxError(f"{name}: no value for a property list: {value!r}")
    return value


def _is_value(value: object) -> TypeGuard[Value]:
    try:
        dump({"Value": value})
    except LocalProtocolError:
        return False
    return True


def _read_names(name: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UsbmuxError(f"{name}: expected a list of strings, found {value!r}")
    return value
