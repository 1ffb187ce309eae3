"""What the phones of a TOML file have in common, whether they have lockdown or not: UDIDs and ports."""

import hashlib
from typing import Final

from usbmux.errors import AddressError, UsbmuxError
from usbmux.testing.ports import PortHandler, named

_CHIPS: Final = (0x8030, 0x8101, 0x8110, 0x8120, 0x8130)


def default_udid(index: int) -> str:
    """A believable UDID: the same for the same number, another one for another."""
    number = int.from_bytes(hashlib.sha256(b"usbmux phone %d" % index).digest()[:7])
    # The second half of a real one stays below 2^53, so it begins with zeros.
    return f"{_CHIPS[index % len(_CHIPS)]:08X}-{number >> 3:016X}"


def read_ports(key: str, table: object) -> dict[int, PortHandler]:
    """The handlers that a table gives to ports.

    Args:
        key: What error messages call the table.
        table: What was read.

    Raises:
        UsbmuxError: It is no table, a key is no port, or its value no handler.
    """
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
