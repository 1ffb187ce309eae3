"""Simulated phones from a TOML file, or out of nothing.

::

    [[phone]]
    udid = "00008030-001A2B3C4D5E6F01"
    version = 2                  # of the mux protocol, 1 or 2; may be left out

    [phone.ports]
    7 = "echo"                   # also digest, discard, source
    22 = "127.0.0.1:2222"        # a real server; unix:/path too
"""

import hashlib
from pathlib import Path
from typing import Final

from usbmux.errors import AddressError, UsbmuxError
from usbmux.testing.phone import SimulatedPhone
from usbmux.testing.ports import PortHandler, digest, discard, echo, named, source

_PHONE_KEYS: Final = ("udid", "version", "ports")
_MAX_UDID_LENGTH: Final = 64
_CHIPS: Final = (0x8030, 0x8101, 0x8110, 0x8120, 0x8130)


def default_phones(count: int) -> list[SimulatedPhone]:
    """That many phones with distinct UDIDs, the same in every run: port 7 echo, 9 discard, 19 source, 99 digest."""
    ports: dict[int, PortHandler] = {7: echo, 9: discard, 19: source, 99: digest}
    return [SimulatedPhone(_default_udid(index), ports=ports) for index in range(count)]


def load_phones(path: str | Path) -> list[SimulatedPhone]:
    """The phones that a file describes.

    Raises:
        UsbmuxError: It cannot be read or understood; the text names the file and the key.
    """
    import tomllib  # here, because phones out of nothing need none

    try:
        document: dict[str, object] = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        return _read_document(document)
    except (OSError, ValueError, UsbmuxError) as error:
        raise UsbmuxError(f"{path}: {error}") from error


def _default_udid(index: int) -> str:
    number = int.from_bytes(hashlib.sha256(b"usbmux phone %d" % index).digest()[:7])
    # The second half of a real one stays below 2^53, so it begins with zeros.
    return f"{_CHIPS[index % len(_CHIPS)]:08X}-{number >> 3:016X}"


def _read_document(document: dict[str, object]) -> list[SimulatedPhone]:
    _check_keys("", document, ("phone",))
    tables = document.get("phone")
    if not isinstance(tables, list) or not tables:
        raise UsbmuxError("phone: expected at least one [[phone]]")
    phones = [_read_phone(f"phone[{index}]", table) for index, table in enumerate(tables)]
    udids = [phone.udid for phone in phones]
    for index, udid in enumerate(udids):
        if udid in udids[:index]:
            raise UsbmuxError(f"phone[{index}].udid: {udid} is used twice")
    return phones


def _read_phone(key: str, table: object) -> SimulatedPhone:
    if not isinstance(table, dict):
        raise UsbmuxError(f"{key}: expected a table, found {table!r}")
    _check_keys(f"{key}.", table, _PHONE_KEYS)
    udid = table.get("udid")
    is_udid = isinstance(udid, str) and udid.isascii() and udid.isprintable() and 0 < len(udid) <= _MAX_UDID_LENGTH
    if not isinstance(udid, str) or not is_udid:
        raise UsbmuxError(f"{key}.udid: expected 1 to {_MAX_UDID_LENGTH} printable ASCII characters, found {udid!r}")
    version = table.get("version", 2)
    if type(version) is not int or version not in (1, 2):
        raise UsbmuxError(f"{key}.version: expected 1 or 2, found {version!r}")
    return SimulatedPhone(udid, version=version, ports=_read_ports(f"{key}.ports", table.get("ports", {})))


def _read_ports(key: str, table: object) -> dict[int, PortHandler]:
    if not isinstance(table, dict):
        raise UsbmuxError(f"{key}: expected a table, found {table!r}")
    return {_read_port(f"{key}.{name}", name): _read_handler(f"{key}.{name}", text) for name, text in table.items()}


def _read_port(key: str, name: str) -> int:
    if not (name.isascii() and name.isdecimal() and int(name) <= 0xFFFF):
        raise UsbmuxError(f"{key}: expected a port number from 0 to 65535")
    return int(name)


def _read_handler(key: str, text: object) -> PortHandler:
    if not isinstance(text, str):
        raise UsbmuxError(f"{key}: expected a string, found {text!r}")
    try:
        return named(text)
    except AddressError as error:
        raise UsbmuxError(f"{key}: {error}") from error


def _check_keys(prefix: str, table: dict[str, object], known: tuple[str, ...]) -> None:
    for name in table:
        if name not in known:
            raise UsbmuxError(f"{prefix}{name}: unknown key; expected {', '.join(known)}")
