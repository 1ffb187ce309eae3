"""Property lists as bytes: the only place that meets plistlib.

Rules C14 to C16 of docs/protocol/control.md. plistlib answers hostile input with a dozen kinds of
exception, and a few kilobytes of it can name the same megabyte a thousand times: both end here.
"""

import plistlib
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Final
from xml.parsers.expat import ExpatError

from usbmux.control import flat_plist
from usbmux.errors import LocalProtocolError, RemoteProtocolError

_BINARY_MAGIC: Final = b"bplist"
_SPACE: Final = b" \t\r\n"
"""May go before XML, which forbids it, because other daemons take such a text too."""
_END_OF_TEXT: Final = b"\0"
"""May stand behind XML, for the same reason: programs in C count it to a text."""
_NO_XML: Final = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML cannot hold."""
_DECLARATION: Final = re.compile(r"\A<\?xml[^>]*>")
_TRAILER: Final = struct.Struct(">6xBBQQQ")
_HEAD_LENGTH: Final = 32
_EXTENDED_COUNT: Final = 0xF


def load(payload: bytes) -> Mapping[object, object]:
    """Read a dictionary from an XML or binary property list, in time and memory linear in its length.

    (One XML comment or tag that fills a whole reply is the exception: half a second with an expat before 2.6.)
    Values may be of any type, nested to any depth and even contain themselves: look at their types, and
    never print, compare or walk what was not asked for.

    Raises:
        RemoteProtocolError: It is not a property list, or not a dictionary.
    """
    if (flat := flat_plist.load(payload)) is not None:
        return flat
    value = _load(payload)
    if not isinstance(value, dict):
        raise RemoteProtocolError("not a dictionary", payload[:_HEAD_LENGTH])
    return value


def load_array(payload: bytes) -> Sequence[object]:
    """Read an array as `load` reads a dictionary.

    Raises:
        RemoteProtocolError: It is not a property list, or not an array.
    """
    value = _load(payload)
    if not isinstance(value, list):
        raise RemoteProtocolError("not an array", payload[:_HEAD_LENGTH])
    return value


def _load(payload: bytes) -> object:
    body = payload.lstrip(_SPACE)
    try:
        if body.startswith(_BINARY_MAGIC):
            _check_binary(body)
            value: object = plistlib.loads(body)
        else:
            value = _load_xml(body.rstrip(_END_OF_TEXT))
    except Exception as error:  # plistlib leaks whatever its parts raise, RecursionError and AttributeError included
        raise RemoteProtocolError("not a property list", payload[:_HEAD_LENGTH]) from error
    return value


def _load_xml(body: bytes) -> object:
    if b"\0" in body or b"<!ATTLIST" in body:
        # Default attributes are copied into every element: quadratic, and plistlib lets them pass.
        raise ValueError("UTF-16, or attribute declarations")
    try:
        value: object = plistlib.loads(body, fmt=plistlib.FMT_XML)
    except (ExpatError, LookupError, ValueError):
        # Programs in C name themselves by whatever their file is called, phones by what was typed, and those in C#
        # declare the encoding of their memory.
        text = _DECLARATION.sub("", body.decode("utf-8-sig", errors="replace"))
        value = plistlib.loads(_NO_XML.sub("\ufffd", text).encode(), fmt=plistlib.FMT_XML)
    return value


def dump(properties: Mapping[str, object] | list[object] | tuple[object, ...], *, binary: bool = False) -> bytes:
    """Write a dictionary or an array as an XML or binary property list, its keys in the order given.

    Raises:
        LocalProtocolError: A value that a property list cannot hold.
    """
    try:
        form = plistlib.FMT_BINARY if binary else plistlib.FMT_XML
        return plistlib.dumps(properties, fmt=form, sort_keys=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise LocalProtocolError(f"cannot be written as a property list: {error}") from error


def _check_binary(payload: bytes) -> None:
    """Refuse objects that overlap: reading each of them once would no longer be linear.

    Raises:
        ValueError: Together the objects are longer than the payload.
        IndexError: An object lies outside the payload.
        struct.error: There is no trailer.
    """
    offset_size, reference_size, count, _top, table = _TRAILER.unpack_from(
        payload, max(len(payload) - _TRAILER.size, 0)
    )
    end = table + count * offset_size
    if not offset_size or end > len(payload):
        raise ValueError("the offset table lies outside")
    budget = len(payload)
    for position in range(table, end, offset_size):
        offset = int.from_bytes(payload[position : position + offset_size], "big")
        budget -= _object_length(payload, offset, reference_size)
        if budget < 0:
            raise ValueError("overlapping objects")


def _object_length(payload: bytes, offset: int, reference_size: int) -> int:
    """Length in bytes of the object at `offset`, of what it refers to only the references."""
    kind, low = payload[offset] & 0xF0, payload[offset] & 0x0F
    match kind:
        case 0x10 | 0x20:  # integer, real
            return 1 + (1 << low)
        case 0x40 | 0x50:  # data, ASCII text
            unit = 1
        case 0x60:  # UTF-16 text
            unit = 2
        case 0xA0:  # array
            unit = reference_size
        case 0xD0:  # dictionary
            unit = 2 * reference_size
        case _:  # constants, dates and identifiers: never longer than 17 bytes
            return 1
    if low == _EXTENDED_COUNT:
        size = 1 << (payload[offset + 1] & 3)
        low = int.from_bytes(payload[offset + 2 : offset + 2 + size], "big")
    return 1 + low * unit
