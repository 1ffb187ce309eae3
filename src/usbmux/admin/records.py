"""Phones, clients and connections of a status, as JSON has them."""

from collections.abc import Mapping
from dataclasses import fields as fields_of
from enum import Enum

from usbmux.admin.fields import member, take, take_optional, take_seconds
from usbmux.admin.message import (
    ClientActivity,
    ClientStatus,
    ConnectionState,
    ConnectionStatus,
    PhoneState,
    PhoneStatus,
)

Fields = Mapping[str, object]
Record = PhoneStatus | ClientStatus | ConnectionStatus


def record_document(record: Record) -> dict[str, object]:
    """The record as a JSON object, under the names of its fields."""
    document = {}
    for field in fields_of(record):
        value: object = getattr(record, field.name)
        document[field.name] = value.value if isinstance(value, Enum) else value
    return document


def read_phone(fields: Fields) -> PhoneStatus:
    """The phone; `RemoteProtocolError` if it is none."""
    return PhoneStatus(
        state=member("state", take(fields, "state", str), PhoneState),
        port_path=take(fields, "port_path", str),
        udid=take_optional(fields, "udid", str),
        product_id=take_optional(fields, "product_id", int),
        connection_speed=take_optional(fields, "connection_speed", int),
        device_id=take_optional(fields, "device_id", int),
        attach_count=take(fields, "attach_count", int),
        last_error=take_optional(fields, "last_error", str),
        next_try_s=None if fields.get("next_try_s") is None else take_seconds(fields, "next_try_s"),
        reconnects_last_hour=take(fields, "reconnects_last_hour", int),
        bytes_to_phone=take(fields, "bytes_to_phone", int),
        bytes_from_phone=take(fields, "bytes_from_phone", int),
    )


def read_client(fields: Fields) -> ClientStatus:
    """The client; `RemoteProtocolError` if it is none."""
    return ClientStatus(
        number=take(fields, "number", int),
        address=take(fields, "address", str),
        what=member("what", take(fields, "what", str), ClientActivity),
        age_s=take_seconds(fields, "age_s"),
        uid=take_optional(fields, "uid", int),
        gid=take_optional(fields, "gid", int),
        pid=take_optional(fields, "pid", int),
        program=take_optional(fields, "program", str),
    )


def read_connection(fields: Fields) -> ConnectionStatus:
    """The connection; `RemoteProtocolError` if it is none."""
    return ConnectionStatus(
        client=take(fields, "client", int),
        udid=take(fields, "udid", str),
        port=take(fields, "port", int),
        local_port=take(fields, "local_port", int),
        state=member("state", take(fields, "state", str), ConnectionState),
        age_s=take_seconds(fields, "age_s"),
        send_room=take(fields, "send_room", int),
        bytes_to_phone=take(fields, "bytes_to_phone", int),
        bytes_from_phone=take(fields, "bytes_from_phone", int),
        backlog=take(fields, "backlog", int),
        phone_stalls=take(fields, "phone_stalls", int),
        phone_stalled_s=take_seconds(fields, "phone_stalled_s"),
        client_stalls=take(fields, "client_stalls", int),
        client_stalled_s=take_seconds(fields, "client_stalled_s"),
    )
