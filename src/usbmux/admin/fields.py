"""Values out of JSON objects, with errors that name the place."""

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final, TypeVar

from usbmux.errors import RemoteProtocolError

T = TypeVar("T")
E = TypeVar("E", bound=Enum)
_SHOWN_BYTES: Final = 64
_MAX_UDID_LENGTH: Final = 64


def read_object(line: bytes) -> dict[str, object]:
    """The JSON object on a line.

    Raises:
        RemoteProtocolError: It is something else.
    """
    try:
        document: object = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"not JSON: {error}", line[:_SHOWN_BYTES]) from error
    if not isinstance(document, dict):
        raise RemoteProtocolError(f"expected a JSON object, found {shown(document)}", line[:_SHOWN_BYTES])
    return document


def check_keys(fields: Mapping[str, object], known: Iterable[str]) -> None:
    """Raise `RemoteProtocolError` for a key that is not known."""
    if unknown := [key for key in fields if key not in known]:
        raise RemoteProtocolError(f"{shown(unknown[0])}: unknown key; expected {', '.join(known)}")


def take(fields: Mapping[str, object], key: str, kind: type[T]) -> T:
    """The value of a key, which must be of that kind; else `RemoteProtocolError`. True is no int."""
    value = fields.get(key)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RemoteProtocolError(f"{key}: expected {kind.__name__}, found {shown(value)}")
    return value


def take_optional(fields: Mapping[str, object], key: str, kind: type[T]) -> T | None:
    """The same, or None for null and for a key that is missing."""
    return None if fields.get(key) is None else take(fields, key, kind)


def take_seconds(fields: Mapping[str, object], key: str) -> float:
    """A number, whole or not; else `RemoteProtocolError`."""
    value = fields.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise RemoteProtocolError(f"{key}: expected a number, found {shown(value)}")
    return value


def take_objects(fields: Mapping[str, object], key: str) -> list[dict[str, object]]:
    """A list of objects; else `RemoteProtocolError`."""
    found: list[object] = take(fields, key, list)
    objects = []
    for document in found:
        if not isinstance(document, dict):
            raise RemoteProtocolError(f"{key}: expected objects, found {shown(document)}")
        objects.append(document)
    return objects


def check_udid(udid: str | None) -> None:
    """Raise `RemoteProtocolError` for a text that is no phone's."""
    if udid is not None and not (udid.isascii() and udid.isprintable() and 0 < len(udid) <= _MAX_UDID_LENGTH):
        raise RemoteProtocolError(f"udid: expected 1 to {_MAX_UDID_LENGTH} printable ASCII characters")


def member(key: str, value: object, kind: type[E]) -> E:
    """The member of an Enum with that value; else `RemoteProtocolError`."""
    for candidate in kind:
        if candidate.value == value:
            return candidate
    expected = " or ".join(str(candidate.value) for candidate in kind)
    raise RemoteProtocolError(f"{key}: expected {expected}, found {shown(value)}")


def shown(value: object) -> str:
    """As JSON, shortened; without characters that a terminal or a log would obey."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_BYTES else f"{text[:_SHOWN_BYTES]} ..."
