"""Requests and answers as JSON, a line each."""

import json
from collections.abc import Mapping
from typing import Final, assert_never

from usbmux.admin import forward_codec
from usbmux.admin.fields import check_keys, check_udid, member, read_object, shown, take, take_objects, take_optional
from usbmux.admin.forward import ForwardAddRequest, ForwardListRequest, ForwardRemoveRequest, Forwards
from usbmux.admin.message import (
    Answer,
    CaptureBegun,
    CaptureFormat,
    CaptureRequest,
    Kicked,
    KickRequest,
    Refused,
    Request,
    Status,
    StatusPart,
    StatusRequest,
)
from usbmux.admin.records import Record, read_client, read_connection, read_phone, record_document
from usbmux.errors import RemoteProtocolError

_PLAIN_STATUS: Final = StatusRequest()
_COMMANDS: Final = f"status, capture, kick, {forward_codec.ADD}, {forward_codec.LIST} or {forward_codec.REMOVE}"


def encode_request(request: Request) -> bytes:
    """The line, with its end."""
    match request:
        case StatusRequest(parts, after):
            document: dict[str, object] = {"command": "status"}
            if parts != _PLAIN_STATUS.parts:
                document["parts"] = [part.value for part in parts]
            if after:
                document["after"] = after
            return _line(document)
        case CaptureRequest(udid, capture_format):
            return _line({"command": "capture", "udid": udid, "format": capture_format.value})
        case KickRequest(client):
            return _line({"command": "kick", "client": client})
        case ForwardAddRequest() | ForwardListRequest() | ForwardRemoveRequest():
            return _line(forward_codec.forward_request_document(request))
        case _:
            assert_never(request)


def decode_request(line: bytes) -> Request:
    """Read a line without its end.

    Raises:
        RemoteProtocolError: It is no request; the text says why.
    """
    fields = read_object(line)
    match fields.get("command"):
        case "status":
            return _status_request(fields)
        case "capture":
            return _capture_request(fields)
        case "kick":
            check_keys(fields, ("command", "client"))
            return KickRequest(take(fields, "client", int))
        case forward_codec.ADD:
            return forward_codec.read_forward_add(fields)
        case forward_codec.LIST:
            return forward_codec.read_forward_list(fields)
        case forward_codec.REMOVE:
            return forward_codec.read_forward_remove(fields)
        case None:
            raise RemoteProtocolError("command: missing")
        case command:
            raise RemoteProtocolError(f"command: expected {_COMMANDS}, found {shown(command)}")


def encode_answer(answer: Answer) -> bytes:
    """The line, with its end."""
    match answer:
        case Status():
            return _line({"ok": True, **status_document(answer)})
        case Forwards():
            return _line({"ok": True, **forward_codec.forwards_document(answer)})
        case CaptureBegun():
            return _line({"ok": True})
        case Kicked(found):
            return _line({"ok": True, "found": found})
        case Refused(error):
            return _line({"ok": False, "error": error})
        case _:
            assert_never(answer)


def status_document(status: Status) -> dict[str, object]:
    """A status as JSON has it, with the parts that it has."""
    document: dict[str, object] = {"version": status.version}
    for part in status.parts:
        match part:
            case StatusPart.PHONES:
                records: tuple[Record, ...] = status.phones
            case StatusPart.CLIENTS:
                records = status.clients
            case StatusPart.CONNECTIONS:
                records = status.connections
            case _:
                assert_never(part)
        document[part.value] = [record_document(record) for record in records]
    if status.next_after is not None:
        document["next_after"] = status.next_after
    return document


def decode_answer(line: bytes, request: Request) -> Answer:
    """Read a line without its end. Keys that are not known are ignored: a newer daemon may have more to tell.

    Raises:
        RemoteProtocolError: It is no answer to this request.
    """
    fields = read_object(line)
    if not take(fields, "ok", bool):
        return Refused(take(fields, "error", str))
    match request:
        case StatusRequest(parts):
            return _status(fields, parts)
        case CaptureRequest():
            return CaptureBegun()
        case KickRequest():
            return Kicked(take(fields, "found", bool))
        case ForwardAddRequest() | ForwardListRequest() | ForwardRemoveRequest():
            return forward_codec.read_forwards(fields)
        case _:
            assert_never(request)


def _status_request(fields: Mapping[str, object]) -> StatusRequest:
    check_keys(fields, ("command", "parts", "after"))
    names = take_optional(fields, "parts", list)
    after = take_optional(fields, "after", int) or 0
    parts = _PLAIN_STATUS.parts if names is None else tuple(member("parts", name, StatusPart) for name in names)
    if len(set(parts)) < len(parts):
        raise RemoteProtocolError("parts: one comes twice")
    return StatusRequest(parts, after)


def _capture_request(fields: Mapping[str, object]) -> CaptureRequest:
    check_keys(fields, ("command", "udid", "format"))
    udid = take_optional(fields, "udid", str)
    check_udid(udid)
    name = take_optional(fields, "format", str) or CaptureFormat.PCAPNG.value
    return CaptureRequest(udid, member("format", name, CaptureFormat))


def _status(fields: Mapping[str, object], parts: tuple[StatusPart, ...]) -> Status:
    """What was asked for must be there."""
    documents = {part: take_objects(fields, part.value) for part in parts}
    return Status(
        version=take(fields, "version", str),
        phones=tuple(map(read_phone, documents.get(StatusPart.PHONES, ()))),
        clients=tuple(map(read_client, documents.get(StatusPart.CLIENTS, ()))),
        connections=tuple(map(read_connection, documents.get(StatusPart.CONNECTIONS, ()))),
        next_after=take_optional(fields, "next_after", int),
        parts=parts,
    )


def _line(document: Mapping[str, object]) -> bytes:
    return json.dumps(document).encode() + b"\n"
