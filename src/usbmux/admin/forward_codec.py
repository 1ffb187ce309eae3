"""Requests about kept forwards, and their answer, as JSON objects."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final, assert_never

from usbmux.admin.fields import check_keys, check_udid, shown, take, take_objects, take_optional
from usbmux.admin.forward import (
    MAX_FORWARDS,
    ForwardAddRequest,
    ForwardListRequest,
    ForwardRemoveRequest,
    ForwardRequest,
    Forwards,
    ForwardStatus,
    KeptForward,
)
from usbmux.errors import RemoteProtocolError

ADD: Final = "forward-add"
LIST: Final = "forward-list"
REMOVE: Final = "forward-remove"
_MAX_ADDRESS_LENGTH: Final = 256
_HIGHEST_PORT: Final = 65535


def forward_request_document(request: ForwardRequest) -> dict[str, object]:
    """The request as JSON has it."""
    match request:
        case ForwardAddRequest(forwards):
            return {"command": ADD, "forwards": [asdict(forward) for forward in forwards]}
        case ForwardListRequest():
            return {"command": LIST}
        case ForwardRemoveRequest(listen):
            return {"command": REMOVE, "listen": list(listen)}
        case _:
            assert_never(request)


def read_forward_add(fields: Mapping[str, object]) -> ForwardAddRequest:
    """The request; `RemoteProtocolError` if it is none."""
    check_keys(fields, ("command", "forwards"))
    documents = take_objects(fields, "forwards")
    if not 0 < len(documents) <= MAX_FORWARDS:
        raise RemoteProtocolError(f"forwards: expected 1 to {MAX_FORWARDS}")
    return ForwardAddRequest(tuple(map(read_kept_forward, documents)))


def read_forward_list(fields: Mapping[str, object]) -> ForwardListRequest:
    """The request; `RemoteProtocolError` if it is none."""
    check_keys(fields, ("command",))
    return ForwardListRequest()


def read_forward_remove(fields: Mapping[str, object]) -> ForwardRemoveRequest:
    """The request; `RemoteProtocolError` if it is none."""
    check_keys(fields, ("command", "listen"))
    names: list[object] = take(fields, "listen", list)
    found = []
    for name in names:
        if not isinstance(name, str):
            raise RemoteProtocolError(f"listen: expected strings, found {shown(name)}")
        found.append(name)
    return ForwardRemoveRequest(tuple(found))


def read_kept_forward(fields: Mapping[str, object]) -> KeptForward:
    """The forward; `RemoteProtocolError` if it is none."""
    check_keys(fields, ("listen", "port", "udid"))
    listen, port = take(fields, "listen", str), take(fields, "port", int)
    if not (listen.isprintable() and 0 < len(listen) <= _MAX_ADDRESS_LENGTH):
        raise RemoteProtocolError(f"listen: expected 1 to {_MAX_ADDRESS_LENGTH} printable characters")
    if not 1 <= port <= _HIGHEST_PORT:
        raise RemoteProtocolError(f"port: expected 1 to {_HIGHEST_PORT}, found {port}")
    udid = take_optional(fields, "udid", str)
    check_udid(udid)
    return KeptForward(listen, port, udid)


def forwards_document(answer: Forwards) -> dict[str, object]:
    """The answer as JSON has it."""
    return {"forwards": [asdict(forward) for forward in answer.forwards]}


def read_forwards(fields: Mapping[str, object]) -> Forwards:
    """The answer; `RemoteProtocolError` if it is none."""
    return Forwards(
        tuple(
            ForwardStatus(
                listen=take(found, "listen", str),
                port=take(found, "port", int),
                udid=take_optional(found, "udid", str),
                is_listening=take(found, "is_listening", bool),
                is_attached=take(found, "is_attached", bool),
                phones=take(found, "phones", int),
                connections=take(found, "connections", int),
                error=take_optional(found, "error", str),
            )
            for found in take_objects(fields, "forwards")
        )
    )
