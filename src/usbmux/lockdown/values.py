"""What a phone tells of itself, in types that can be printed and walked."""

import datetime
from collections.abc import Mapping
from typing import Final, TypeAlias

from usbmux.errors import RemoteProtocolError

Value: TypeAlias = str | bytes | bool | int | float | datetime.datetime | list["Value"] | dict[str, "Value"]

_MAX_DEPTH: Final = 32
_MAX_COUNT: Final = 100_000
_INTEGERS: Final = range(-(1 << 63), 1 << 64)
"""What a property list can be written with; in hexadecimal one can be read that has a million digits."""


def checked_value(raw: object) -> Value:
    """A copy of what came in a property list, which may refer to itself or to one part a million times.

    Raises:
        RemoteProtocolError: It is nested too deeply, has too many parts, or parts of a type or size that no value has.
    """
    return _Copy().of(raw, 0)


class _Copy:
    def __init__(self) -> None:
        self._left = _MAX_COUNT

    def of(self, raw: object, depth: int) -> Value:
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise RemoteProtocolError("a value with too many parts, or nested too deeply")
        match raw:
            case int() if raw not in _INTEGERS:
                raise RemoteProtocolError(f"a number of {raw.bit_length()} bits")
            case str() | bytes() | bool() | int() | float() | datetime.datetime():
                return raw
            case list():
                return [self.of(item, depth + 1) for item in raw]
            case dict():
                return {self._key(key): self.of(item, depth + 1) for key, item in raw.items()}
            case _:
                raise RemoteProtocolError(f"a value of type {type(raw).__name__}")

    def _key(self, key: object) -> str:
        if not isinstance(key, str):
            raise RemoteProtocolError("a dictionary with a key that is no text")
        return key


def checked_values(raw: object) -> Mapping[str, Value]:
    """`checked_value` for what must be a dictionary.

    Raises:
        RemoteProtocolError: It is none, or `checked_value` raises it.
    """
    values = checked_value(raw)
    if not isinstance(values, dict):
        raise RemoteProtocolError("values that are no dictionary")
    return values
