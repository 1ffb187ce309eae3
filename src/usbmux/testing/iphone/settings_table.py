"""Settings from a table of a TOML file, for any dataclass that holds settings."""

import ssl
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Final, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from usbmux.control.property_list import dump
from usbmux.errors import LocalProtocolError, UsbmuxError
from usbmux.testing.iphone.faults import Framing
from usbmux.testing.iphone.services.application import ApplicationKind
from usbmux.values import frozen

T = TypeVar("T")
_TLS_VERSIONS: Final = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
_TABLE: Final = Mapping[str, object]


@frozen
class _Reader:
    """Makes a setting of what a file says; ValueError if it cannot."""

    expected: str
    read: Callable[[object], object]


class SettingsTable(Generic[T]):
    """Reads one kind of settings.

    Keys are the names of the dataclass; one whose type a file cannot say (such as a function) is none.

    Args:
        kind: The dataclass.
        folder: Where the files are that settings name.
    """

    def __init__(self, kind: Callable[..., T], folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        readers = {name: self._reader(hint) for name, hint in _hints(kind).items()}
        self._readers: Final = {name: reader for name, reader in readers.items() if reader is not None}

    @property
    def keys(self) -> tuple[str, ...]:
        """What a file may say."""
        return tuple(self._readers)

    def read(self, table: object, place: str) -> T:
        """The settings that a table describes; keys left out are as the dataclass has them.

        Args:
            table: What was read.
            place: What error messages call the table.

        Raises:
            UsbmuxError: It is no table, a key is unknown, or its value is not what it must be.
        """
        if not isinstance(table, dict):
            raise UsbmuxError(f"{place}: expected a table, found {table!r}")
        settings: dict[str, object] = {}
        for key, value in table.items():
            reader = self._readers.get(key)
            if reader is None:
                raise UsbmuxError(f"{place}.{key}: unknown key; expected {', '.join(self.keys)}")
            try:
                settings[key] = reader.read(value)
            except ValueError as error:
                raise UsbmuxError(f"{place}.{key}: expected {reader.expected}, found {value!r}") from error
        return self._kind(**settings)

    def _reader(self, hint: object) -> _Reader | None:
        if isinstance(hint, UnionType):  # something or None, which a file says by leaving it out
            (hint,) = (each for each in get_args(hint) if each is not NoneType)
        if get_origin(hint) is Literal:
            return _choice({text: text for text in get_args(hint)})
        if hint is Path:
            return _Reader("a path", lambda value: self._folder / _text(value))
        return _READERS.get(hint)


def _hints(kind: object) -> Mapping[str, object]:
    return get_type_hints(kind)


def _choice(values: Mapping[str, object]) -> _Reader:
    def read(value: object) -> object:
        if not isinstance(value, str) or value not in values:
            raise ValueError
        return values[value]

    return _Reader(f"one of {', '.join(values)}", read)


def _words(kind: type[Enum]) -> dict[str, object]:
    """The members as a file says them: in small letters, with dashes."""
    return {member.name.lower().replace("_", "-"): member for member in kind}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError
    return float(value)


def _properties(value: object) -> dict[object, object]:
    if not isinstance(value, dict):
        raise ValueError
    try:
        dump(value)
    except LocalProtocolError as error:
        raise ValueError from error
    return value


_READERS: Final[Mapping[object, _Reader]] = {
    bool: _Reader("true or false", _boolean),
    bytes: _Reader("a string", lambda value: _text(value).encode()),
    float: _Reader("a number of 0 or more", _seconds),
    int: _Reader("a whole number of 0 or more", _count),
    str: _Reader("a string", _text),
    ApplicationKind: _choice(_words(ApplicationKind)),
    Framing: _choice(_words(Framing)),
    ssl.TLSVersion: _choice(_TLS_VERSIONS),
    _TABLE: _Reader("a table of values for a property list", _properties),
}
