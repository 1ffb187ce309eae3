"""Messages of protocol version 1: property lists.

Rules C12 to C31 and C36 of docs/protocol/control.md. The port's byte swap
happens here and in `binary_codec` only.
"""

from collections.abc import Mapping
from errno import EINVAL
from functools import lru_cache
from operator import index
from typing import Final, assert_never

from usbmux.control import flat_plist, property_list
from usbmux.control.message import (
    MAX_TEXT_LENGTH,
    Attached,
    Buid,
    ClientIdentity,
    Connect,
    DeletePairRecord,
    Detached,
    DeviceList,
    DeviceRecord,
    InvalidRequestError,
    ListDevices,
    Listen,
    ListenerList,
    ListenerRecord,
    ListListeners,
    Message,
    Notification,
    Paired,
    PairRecord,
    ReadBuid,
    ReadPairRecord,
    Reply,
    Request,
    Result,
    ResultCode,
    SavePairRecord,
    UnknownMessageError,
    clean_text,
)
from usbmux.errors import LocalProtocolError, RemoteProtocolError

Properties = Mapping[object, object]

_U16_MAX: Final = 0xFFFF
_U32_MAX: Final = 0xFFFFFFFF
_I32_MIN: Final = -0x80000000
_I64_MAX: Final = 0x7FFFFFFFFFFFFFFF


def encode(message: Message, identity: ClientIdentity | None = None) -> bytes:
    """The payload of a message, in XML; `identity` is put beside a request.

    Raises:
        LocalProtocolError: A value that the message cannot carry.
    """
    properties = {} if identity is None else _identity_properties(identity)
    return property_list.dump(properties | _message_properties(message))


def decode_request(payload: bytes) -> tuple[Request, ClientIdentity]:
    """Read a request, XML or binary, and who sends it; keys that are not asked for are ignored.

    Raises:
        InvalidRequestError: It cannot be understood.
    """
    try:
        return _decode_flat_request(payload)
    except _NotFlatError:
        pass
    try:
        properties = property_list.load(payload)
    except RemoteProtocolError as error:
        raise InvalidRequestError(ResultCode.BAD_COMMAND, f"request is {error}") from error
    return _decode_request(properties), _decode_identity(properties)


def decode_reply(payload: bytes) -> Reply | Notification:
    """Read what a daemon sends, XML or binary; of a list, the entries that make sense.

    Raises:
        UnknownMessageError: A property list that is no known message, or lacks what makes it one.
        RemoteProtocolError: Not a property list at all.
    """
    properties = property_list.load(payload)
    match properties.get("MessageType"):
        case "Result":
            return Result(_required_number(properties, "Number", _I32_MIN, _U32_MAX))
        case "Attached":
            device = _decode_device(properties)
            if device is None:
                raise UnknownMessageError("Attached without device id or serial number")
            return Attached(device)
        case "Detached":
            return Detached(_required_number(properties, "DeviceID", 0, _U32_MAX))
        case "Paired":
            return Paired(_required_number(properties, "DeviceID", 0, _U32_MAX))
        case _:
            return _decode_data_reply(properties)


# Messages to properties


def _message_properties(message: Message) -> dict[str, object]:
    match message:
        case Listen():
            return {"MessageType": "Listen"}
        case Connect(device_id, port):
            return {"MessageType": "Connect", "DeviceID": _plain(device_id), "PortNumber": _swap_port(port)}
        case ListDevices():
            return {"MessageType": "ListDevices"}
        case ListListeners():
            return {"MessageType": "ListListeners"}
        case ReadBuid():
            return {"MessageType": "ReadBUID"}
        case ReadPairRecord(record_id):
            return {"MessageType": "ReadPairRecord", "PairRecordID": record_id}
        case SavePairRecord(record_id, data, device_id):
            device = {} if device_id is None else {"DeviceID": device_id}
            return {"MessageType": "SavePairRecord", "PairRecordID": record_id, "PairRecordData": data, **device}
        case DeletePairRecord(record_id):
            return {"MessageType": "DeletePairRecord", "PairRecordID": record_id}
        case Result(code):
            return {"MessageType": "Result", "Number": code}
        case DeviceList(devices):
            return {"DeviceList": [_attached_properties(device) for device in devices]}
        case ListenerList(listeners):
            return {"ListenerList": [_listener_properties(listener) for listener in listeners]}
        case Buid(buid):
            return {"BUID": buid}
        case PairRecord(data):
            return {"PairRecordData": data}
        case Attached(device):
            return _attached_properties(device)
        case Detached(device_id):
            return {"MessageType": "Detached", "DeviceID": device_id}
        case Paired(device_id):
            return {"MessageType": "Paired", "DeviceID": device_id}
    assert_never(message)


def _attached_properties(device: DeviceRecord) -> dict[str, object]:
    properties: dict[str, object] = {
        "ConnectionSpeed": device.connection_speed,
        "ConnectionType": device.connection_type,
        "DeviceID": device.device_id,
        "LocationID": device.location_id,
        "ProductID": device.product_id,
        "SerialNumber": device.serial_number,
    }
    if device.port_path:
        properties["PortPath"] = device.port_path
    if device.network_address is not None:
        properties["NetworkAddress"] = device.network_address
    return {"MessageType": "Attached", "DeviceID": device.device_id, "Properties": properties}


def _listener_properties(listener: ListenerRecord) -> dict[str, object]:
    identity = listener.identity
    properties: dict[str, object] = {
        "Blacklisted": listener.blacklisted,
        "ConnType": identity.connection_type or 0,
        "ID String": listener.id_string,
        "ProgName": identity.program,
        "kLibUSBMuxVersion": identity.library_version or 0,
    }
    return properties | ({"BundleID": identity.bundle_id} if identity.bundle_id else {})


def _identity_properties(identity: ClientIdentity) -> dict[str, object]:
    properties: dict[str, object] = {
        "BundleID": identity.bundle_id or None,
        "ClientVersionString": identity.version or None,
        "ProgName": identity.program or None,
        "kLibUSBMuxVersion": identity.library_version,
        "ConnType": identity.connection_type,
        "ProcessID": identity.process_id,
    }
    return {key: value for key, value in properties.items() if value is not None}


def _plain(number: int) -> int:
    """The number alone: True equals 1 but is no integer of a property list, and requests that are equal are one."""
    try:
        return index(number)
    except TypeError as error:
        raise LocalProtocolError(f"{number!r} is no device id") from error


def _swap_port(port: int) -> int:
    try:
        return int.from_bytes(port.to_bytes(2, "big"), "little")
    except OverflowError as error:
        raise LocalProtocolError(f"{port} is no port: they go from 0 to {_U16_MAX}") from error


# Properties to messages


class _NotFlatError(Exception):
    """Raised, because what is returned would be kept, and with it a pair record and its keys."""


@lru_cache(maxsize=64)
def _decode_flat_request(payload: bytes) -> tuple[Request, ClientIdentity]:
    """Kept, because a program asks the same again and again, byte for byte."""
    properties = flat_plist.load(payload)
    if properties is None:
        raise _NotFlatError
    return _decode_request(properties), _decode_identity(properties)


def _decode_request(properties: Properties) -> Request:
    match properties.get("MessageType"):
        case "Listen":
            return Listen()
        case "Connect":
            return _decode_connect(properties)
        case "ListDevices":
            return ListDevices()
        case "ListListeners":
            return ListListeners()
        case "ReadBUID":
            return ReadBuid()
        case "ReadPairRecord":
            return ReadPairRecord(_record_id(properties))
        case "SavePairRecord":
            data = properties.get("PairRecordData")
            if not isinstance(data, bytes) or not data:
                raise InvalidRequestError(EINVAL, "SavePairRecord without PairRecordData")
            return SavePairRecord(_record_id(properties), data, _number(properties, "DeviceID", 0, _U32_MAX))
        case "DeletePairRecord":
            return DeletePairRecord(_record_id(properties))
        case str(name):
            raise InvalidRequestError(ResultCode.BAD_COMMAND, f"unknown MessageType {clean_text(name)}")
        case _:
            raise InvalidRequestError(ResultCode.BAD_COMMAND, "request without MessageType")


def _decode_connect(properties: Properties) -> Connect:
    device_id = _number(properties, "DeviceID", 0, _U32_MAX)
    if device_id is None:
        raise InvalidRequestError(ResultCode.BAD_DEVICE, "Connect without DeviceID")
    swapped_port = _number(properties, "PortNumber", 0, _U16_MAX)
    if swapped_port is None:
        raise InvalidRequestError(ResultCode.BAD_COMMAND, "Connect without PortNumber")
    return Connect(device_id, _swap_port(swapped_port))


def _record_id(properties: Properties) -> str:
    record_id = properties.get("PairRecordID")
    if isinstance(record_id, str) and 0 < len(record_id) <= MAX_TEXT_LENGTH and record_id.isprintable():
        return record_id
    raise InvalidRequestError(EINVAL, "no usable PairRecordID")


def _decode_identity(properties: Properties) -> ClientIdentity:
    return ClientIdentity(
        program=_text(properties, "ProgName"),
        version=_text(properties, "ClientVersionString"),
        bundle_id=_text(properties, "BundleID"),
        library_version=_number(properties, "kLibUSBMuxVersion", 0, _U32_MAX),
        connection_type=_number(properties, "ConnType", 0, _U32_MAX),
        process_id=_number(properties, "ProcessID", 0, _U32_MAX),
    )


def _decode_data_reply(properties: Properties) -> Reply:
    match properties:
        case {"DeviceList": list(entries)}:
            devices = (_decode_device(entry) for entry in entries if isinstance(entry, dict))
            return DeviceList(tuple(device for device in devices if device is not None))
        case {"ListenerList": list(entries)}:
            return ListenerList(tuple(_decode_listener(entry) for entry in entries if isinstance(entry, dict)))
        case {"BUID": str(buid)}:
            return Buid(clean_text(buid))
        case {"PairRecordData": bytes(data)}:
            return PairRecord(data)
        case _:
            raise UnknownMessageError("no known reply or notification")


def _decode_device(entry: Properties) -> DeviceRecord | None:
    """The phone that an Attached dictionary describes, or None without the two things that make it one."""
    properties = entry.get("Properties")
    if not isinstance(properties, dict):
        return None
    device_id = _number(entry, "DeviceID", 0, _U32_MAX)
    if device_id is None:
        device_id = _number(properties, "DeviceID", 0, _U32_MAX)
    serial_number = _text(properties, "SerialNumber")
    if device_id is None or not serial_number:
        return None
    network_address = properties.get("NetworkAddress")
    return DeviceRecord(
        device_id,
        serial_number,
        product_id=_number(properties, "ProductID", 0, _U16_MAX) or 0,
        location_id=_number(properties, "LocationID", 0, _U32_MAX) or 0,
        connection_speed=_number(properties, "ConnectionSpeed", 0, _I64_MAX) or 0,
        connection_type=_text(properties, "ConnectionType") or "USB",
        port_path=_text(properties, "PortPath"),
        network_address=network_address if isinstance(network_address, bytes) else None,
    )


def _decode_listener(entry: Properties) -> ListenerRecord:
    return ListenerRecord(_text(entry, "ID String"), _decode_identity(entry), entry.get("Blacklisted") is True)


def _number(properties: Properties, key: str, low: int, high: int) -> int | None:
    """An integer of that range, or None; a boolean is none."""
    value = properties.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high else None


def _required_number(properties: Properties, key: str, low: int, high: int) -> int:
    value = _number(properties, key, low, high)
    if value is None:
        raise UnknownMessageError(f"a message without {key}")
    return value


def _text(properties: Properties, key: str) -> str:
    value = properties.get(key)
    return clean_text(value) if isinstance(value, str) else ""
