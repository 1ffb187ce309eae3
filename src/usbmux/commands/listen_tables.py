"""``[[listen]]`` and ``[[rule]]`` of the configuration file, and the same behind ``--listen`` and ``--rule``."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from usbmux.control.address import Address, TcpAddress, UnixAddress, parse_address
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.policy import ALL_PORTS, Permission, RecordAccess, Rule
from usbmux.errors import UsbmuxError
from usbmux.tls_front import TlsSettings

Table = Mapping[str, object]
LISTEN_KEYS: Final = {
    "address": "where to listen: /path, host:port, ...",
    "mode": "of the socket's file, such as 0660",
    "group": "of the socket's file, a name or number",
    "udids": "patterns of the phones that are shown there",
    "ports": "ports of phones that may be connected to there, such as 22 or 1000-2000",
    "records": "what may be done with pair records there: none, read or write",
    "tls-certificate": "PEM file: our certificate and its chain; needed for TCP that is not loopback",
    "tls-key": "PEM file: the key of the certificate",
    "tls-client-ca": "PEM file: who must have signed the certificates of clients",
}
RULE_KEYS: Final = {
    "users": "names or numbers; neither users nor groups: everybody",
    "groups": "names or numbers",
    "udids": "patterns of the phones that they see",
    "ports": "ports of phones that they may connect to",
    "records": "what they may do with pair records: none, read or write",
}
_HIGHEST_ID: Final = 0xFFFFFFFE
"""Of users and groups; one more is -1, by which chown() means to change nothing."""
_LISTS: Final = ("udids", "ports", "users", "groups")


def table_from_text(text: str) -> dict[str, object]:
    """Read ``key=value,key=value``; a key of a list may come several times.

    Raises:
        ValueError: A part is not of that form, or a key that is no list comes twice.
    """
    table: dict[str, object] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"{part!r} is not of the form key=value")
        if key in _LISTS:
            listed = table.setdefault(key, [])
            assert isinstance(listed, list)
            listed.append(value)
        elif key in table:
            raise ValueError(f"{key} is given twice")
        else:
            table[key] = value
    return table


def listen_settings(table: Table) -> ListenSettings:
    """What a ``[[listen]]`` table says.

    Raises:
        ValueError: It says something impossible.
    """
    _check_keys(table, LISTEN_KEYS)
    if "address" not in table:
        raise ValueError("address is missing")
    text = _text(table, "address")
    tls = _tls(table)
    try:
        address = listen_address(text, tls)
    except UsbmuxError as error:
        raise ValueError(f"address: {error}") from error
    if tls is not None and isinstance(address, UnixAddress):
        raise ValueError("TLS is for TCP; a Unix socket knows its clients")
    if isinstance(address, TcpAddress) and ("mode" in table or "group" in table):
        raise ValueError("mode and group are for Unix sockets")
    return ListenSettings(
        address=address,
        mode=octal_mode(_text(table, "mode")) if "mode" in table else ListenSettings(address).mode,
        group=group_id(table["group"]) if "group" in table else None,
        permission=_permission(table) if {"udids", "ports", "records"} & set(table) else None,
        tls=tls,
    )


def rule(table: Table) -> Rule:
    """What a ``[[rule]]`` table says.

    Raises:
        ValueError: It says something impossible.
    """
    _check_keys(table, RULE_KEYS)
    return Rule(
        permission=_permission(table),
        uids=_ids(table, "users", user_id),
        gids=_ids(table, "groups", group_id),
    )


def listen_address(text: str, tls: TlsSettings | None = None) -> Address:
    """Read an address to listen at.

    Raises:
        AddressError: It is none.
        ConfigurationError: Other computers would reach it, and it is without TLS.
    """
    address = parse_address(text)
    if isinstance(address, TcpAddress):
        from usbmux.daemon.tls import check_exposure  # here, because most listeners are Unix sockets

        check_exposure(ListenSettings(address, tls=tls))
    return address


def file_path(text: str) -> str:
    """The name of a file or directory, which need not be there.

    Raises:
        ValueError: It can be none.
    """
    if not text or "\0" in text:  # the empty one would be the working directory
        raise ValueError(f"{text!r} is no path")
    return text


def octal_mode(text: str) -> int:
    """The mode of a file.

    Raises:
        ValueError: It is none.
    """
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ValueError(f"{text!r} is no mode such as 0660")
    return mode


def user_id(name: object) -> int:
    """The uid of a user by name or number.

    Raises:
        ValueError: There is no such user.
    """
    return _id_of(name, "user", _user_by_name)


def group_id(name: object) -> int:
    """The gid of a group by name or number.

    Raises:
        ValueError: There is no such group.
    """
    return _id_of(name, "group", _group_by_name)


def _check_keys(table: Table, keys: Mapping[str, str]) -> None:
    for key in table:
        if key not in keys:
            raise ValueError(f"unknown key {key!r}; known are {', '.join(keys)}")


def _text(table: Table, key: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise ValueError(f"{key}: expected a string, got {value!r}")
    return value


def _list(table: Table, key: str) -> list[object]:
    value = table.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"{key}: expected an array, got {value!r}")
    return value


def _ids(table: Table, key: str, id_of: Callable[[object], int]) -> frozenset[int]:
    names = _list(table, key)
    try:
        return frozenset(map(id_of, names))
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _permission(table: Table) -> Permission:
    udids = ["*"] if "udids" not in table else _list(table, "udids")
    if not all(isinstance(pattern, str) for pattern in udids):
        raise ValueError(f"udids: expected strings, got {udids!r}")
    ports = tuple(_port_range(port) for port in _list(table, "ports")) if "ports" in table else ALL_PORTS
    records = _text(table, "records") if "records" in table else "write"
    if records not in ("none", "read", "write"):
        raise ValueError(f"records: expected none, read or write, got {records!r}")
    return Permission(tuple(str(pattern) for pattern in udids), ports, RecordAccess[records.upper()])


def _port_range(value: object) -> tuple[int, int]:
    first, dash, last = str(value).partition("-")
    try:
        numbers = int(first), int(last if dash else first)
    except ValueError:
        numbers = -1, -1
    if isinstance(value, bool) or not 0 <= numbers[0] <= numbers[1] <= 0xFFFF:
        raise ValueError(f"ports: {value!r} is neither a port nor a range such as 1000-2000")
    return numbers


def _tls(table: Table) -> TlsSettings | None:
    keys = ("tls-certificate", "tls-key", "tls-client-ca")
    given = [key for key in keys if key in table]
    if not given:
        return None
    if len(given) < len(keys):
        raise ValueError(f"{', '.join(sorted(set(keys) - set(given)))} missing: TLS needs all three")
    return TlsSettings(*(_absolute(table, key) for key in keys))


def _absolute(table: Table, key: str) -> Path:
    text = _text(table, key)
    try:
        return Path(file_path(text)).absolute()
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _id_of(name: object, kind: str, look_up: Callable[[str], int]) -> int:
    number = int(name) if isinstance(name, str) and name.isdecimal() else name
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= _HIGHEST_ID:
        return number
    try:
        return look_up(str(name))
    except (KeyError, OSError) as error:
        raise ValueError(f"there is no {kind} {name!r}") from error


def _user_by_name(name: str) -> int:
    if sys.platform == "win32":
        raise OSError("no such database")
    import pwd

    return pwd.getpwnam(name).pw_uid


def _group_by_name(name: str) -> int:
    if sys.platform == "win32":
        raise OSError("no such database")
    import grp

    return grp.getgrnam(name).gr_gid
