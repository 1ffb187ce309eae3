"""Requests and answers as JSON, a line each."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from enum import Enum
from typing import Final, TypeVar, assert_never

from usbmux.admin.message import (
    Answer,
    CaptureBegun,
    CaptureFormat,
    CaptureRequest,
    PhoneState,
    PhoneStatus,
    Refused,
    Request,
    Status,
    StatusRequest,
)
from usbmux.errors import RemoteProtocolError

T = TypeVar("T")
E = TypeVar("E", bound=Enum)
_MAX_UDID_LENGTH: Final = 64
_SHOWN_BYTES: Final = 64


def encode_request(request: Request) -> bytes:
    """The line, with its end."""
    match request:
        case StatusRequest():
            return _line({"command": "status"})
        case CaptureRequest(udid, capture_format):
            return _line({"command": "capture", "udid": udid, "format": capture_format.value})
        case _:
            assert_never(request)


def decode_request(line: bytes) -> Request:
    """Read a line without its end.

    Raises:
        RemoteProtocolError: It is no request; the text says why.
    """
    fields = _object(line)
    match fields.get("command"):
        case "status":
            _check_keys(fields, ("command",))
            return StatusRequest()
        case "capture":
            _check_keys(fields, ("command", "udid", "format"))
            udid = _optional(fields, "udid", str)
            if udid is not None and not (udid.isascii() and udid.isprintable() and 0 < len(udid) <= _MAX_UDID_LENGTH):
                raise RemoteProtocolError(f"udid: expected 1 to {_MAX_UDID_LENGTH} printable ASCII characters")
            name = _optional(fields, "format", str) or CaptureFormat.PCAPNG.value
            return CaptureRequest(udid, _member("format", name, CaptureFormat))
        case None:
            raise RemoteProtocolError("command: missing")
        case command:
            raise RemoteProtocolError(f"command: expected status or capture, found {_shown(command)}")


def encode_answer(answer: Answer) -> bytes:
    """The line, with its end."""
    match answer:
        case Status(version, phones):
            return _line({"ok": True, "version": version, "phones": [phone_document(phone) for phone in phones]})
        case CaptureBegun():
            return _line({"ok": True})
        case Refused(error):
            return _line({"ok": False, "error": error})
        case _:
            assert_never(answer)


def phone_document(phone: PhoneStatus) -> dict[str, object]:
    """One phone of a `Status`, as JSON has it."""
    return {**asdict(phone), "state": phone.state.value}


def decode_answer(line: bytes, request: Request) -> Answer:
    """Read a line without its end. Keys that are not known are ignored: a newer daemon may have more to tell.

    Raises:
        RemoteProtocolError: It is no answer to this request.
    """
    fields = _object(line)
    if not _take(fields, "ok", bool):
        return Refused(_take(fields, "error", str))
    match request:
        case StatusRequest():
            phones: list[object] = _take(fields, "phones", list)
            return Status(_take(fields, "version", str), tuple(_phone(phone) for phone in phones))
        case CaptureRequest():
            return CaptureBegun()
        case _:
            assert_never(request)


def _phone(document: object) -> PhoneStatus:
    if not isinstance(document, dict):
        raise RemoteProtocolError(f"phones: expected objects, found {_shown(document)}")
    fields: dict[str, object] = document
    next_try_s = fields.get("next_try_s")
    if not isinstance(next_try_s, int | float | None) or isinstance(next_try_s, bool):
        raise RemoteProtocolError(f"next_try_s: expected a number or null, found {_shown(next_try_s)}")
    return PhoneStatus(
        state=_member("state", _take(fields, "state", str), PhoneState),
        port_path=_take(fields, "port_path", str),
        udid=_optional(fields, "udid", str),
        product_id=_optional(fields, "product_id", int),
        connection_speed=_optional(fields, "connection_speed", int),
        device_id=_optional(fields, "device_id", int),
        attach_count=_take(fields, "attach_count", int),
        last_error=_optional(fields, "last_error", str),
        next_try_s=next_try_s,
    )


def _line(document: Mapping[str, object]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def _object(line: bytes) -> dict[str, object]:
    try:
        document: object = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"not JSON: {error}", line[:_SHOWN_BYTES]) from error
    if not isinstance(document, dict):
        raise RemoteProtocolError(f"expected a JSON object, found {_shown(document)}", line[:_SHOWN_BYTES])
    return document


def _check_keys(fields: Mapping[str, object], known: Iterable[str]) -> None:
    if unknown := [key for key in fields if key not in known]:
        raise RemoteProtocolError(f"{_shown(unknown[0])}: unknown key; expected {', '.join(known)}")


def _optional(fields: Mapping[str, object], key: str, kind: type[T]) -> T | None:
    return None if fields.get(key) is None else _take(fields, key, kind)


def _take(fields: Mapping[str, object], key: str, kind: type[T]) -> T:
    value = fields.get(key)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RemoteProtocolError(f"{key}: expected {kind.__name__}, found {_shown(value)}")
    return value


def _member(key: str, value: str, kind: type[E]) -> E:
    for member in kind:
        if member.value == value:
            return member
    expected = " or ".join(str(member.value) for member in kind)
    raise RemoteProtocolError(f"{key}: expected {expected}, found {_shown(value)}")


def _shown(value: object) -> str:
    """As JSON, shortened; without characters that a terminal or a log would obey."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_BYTES else f"{text[:_SHOWN_BYTES]} ..."
