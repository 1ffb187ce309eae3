"""Simulated phones from a TOML file, or out of nothing.

::

    [[phone]]
    udid = "00008030-001A2B3C4D5E6F01"
    version = 2                  # of the mux protocol, 1 or 2; may be left out

    [phone.ports]
    7 = "echo"                   # also digest, discard, http, source
    22 = "127.0.0.1:2222"        # a real server; unix:/path too

    [[iphone]]                   # one with lockdown and services, see `usbmux.testing.iphone.phone_file`
    device_name = "Ada"
"""

from pathlib import Path
from typing import Final

from usbmux.errors import UsbmuxError
from usbmux.testing.phone import Pluggable, SimulatedPhone
from usbmux.testing.phone_keys import default_udid, read_ports
from usbmux.testing.ports import PortHandler, digest, discard, echo, source

_PHONE_KEYS: Final = ("udid", "version", "ports")
_MAX_UDID_LENGTH: Final = 64


def default_phones(count: int) -> list[SimulatedPhone]:
    """That many phones with distinct UDIDs, the same in every run: port 7 echo, 9 discard, 19 source, 99 digest."""
    ports: dict[int, PortHandler] = {7: echo, 9: discard, 19: source, 99: digest}
    return [SimulatedPhone(default_udid(index), ports=ports) for index in range(count)]


def load_phones(path: str | Path) -> list[SimulatedPhone]:
    """The phones that a file describes, virtual iPhones as a bus has them.

    Raises:
        UsbmuxError: It cannot be read or understood; the text names the file and the key.
    """
    return [phone.device for phone in load_pluggables(path)]


def load_pluggables(path: str | Path) -> list[Pluggable]:
    """The phones that a file describes, virtual iPhones as such, behind the others.

    Raises:
        UsbmuxError: It cannot be read or understood; the text names the file and the key.
    """
    import tomllib  # here, because phones out of nothing need none

    try:
        document: dict[str, object] = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        return _read_document(document, Path(path).absolute().parent)
    except (OSError, ValueError, UsbmuxError) as error:
        raise UsbmuxError(f"{path}: {error}") from error
    except RecursionError:
        raise UsbmuxError(f"{path}: nested too deep") from None


def _read_document(document: dict[str, object], folder: Path) -> list[Pluggable]:
    _check_keys("", document, ("phone", "iphone"))
    phones: dict[str, Pluggable] = {}
    for index, table in enumerate(_tables(document, "phone")):
        phones[f"phone[{index}]"] = _read_phone(f"phone[{index}]", table)
    for index, table in enumerate(_tables(document, "iphone")):
        phones[f"iphone[{index}]"] = _read_iphone(f"iphone[{index}]", table, folder, index)
    if not phones:
        raise UsbmuxError("phone: expected at least one [[phone]] or [[iphone]]")
    udids: set[str] = set()
    for key, phone in phones.items():
        if phone.device.udid in udids:
            raise UsbmuxError(f"{key}.udid: {phone.device.udid} is used twice")
        udids.add(phone.device.udid)
    return list(phones.values())


def _tables(document: dict[str, object], key: str) -> list[object]:
    tables = document.get(key, [])
    if not isinstance(tables, list):
        raise UsbmuxError(f"{key}: expected at least one [[{key}]], found {tables!r}")
    return tables


def _read_iphone(key: str, table: object, folder: Path, index: int) -> Pluggable:
    try:
        from usbmux.testing.iphone.phone_file import default_identity, read_iphone  # needs what other phones do not
    except ModuleNotFoundError as error:
        raise UsbmuxError(f"{key}: {error}") from error
    return read_iphone(table, key, folder, default_identity(index))


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
    return SimulatedPhone(udid, version=version, ports=read_ports(f"{key}.ports", table.get("ports", {})))


def _check_keys(prefix: str, table: dict[str, object], known: tuple[str, ...]) -> None:
    for name in table:
        if name not in known:
            raise UsbmuxError(f"{prefix}{name}: unknown key; expected {', '.join(known)}")
