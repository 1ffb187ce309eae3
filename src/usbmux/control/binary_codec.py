"""Messages of protocol version 0: fixed little-endian structures.

Rules C9 to C11 of docs/protocol/control.md. The port's byte swap
happens here and in `plist_codec` only.
"""

import struct
from typing import Final

from usbmux.control.frame import MessageType
from usbmux.control.message import (
    Attached,
    Connect,
    Detached,
    DeviceRecord,
    InvalidRequestError,
    Listen,
    Message,
    Notification,
    Paired,
    Request,
    Result,
    ResultCode,
    UnknownMessageError,
    clean_text,
)
from usbmux.errors import LocalProtocolError, RemoteProtocolError

_NUMBER: Final = struct.Struct("<I")
_PORT: Final = struct.Struct(">H")
_PORT_OFFSET: Final = 4
_CONNECT_LENGTH: Final = 8
_DEVICE: Final = struct.Struct("<IH256s2xI")
_MAX_SERIAL_LENGTH: Final = 255


def encode(message: Message) -> tuple[MessageType, bytes]:
    """The message number and payload of a message.

    Raises:
        LocalProtocolError: The binary protocol has no such message, or a value does not fit its field.
    """
    try:
        match message:
            case Listen():
                return MessageType.LISTEN, b""
            case Connect(device_id, port):
                return MessageType.CONNECT, _NUMBER.pack(device_id) + _PORT.pack(port) + bytes(2)
            case Result(code):
                return MessageType.RESULT, _NUMBER.pack(code)
            case Attached(device):
                return MessageType.ATTACHED, _encode_device(device)
            case Detached(device_id):
                return MessageType.DETACHED, _NUMBER.pack(device_id)
            case Paired(device_id):
                return MessageType.PAIRED, _NUMBER.pack(device_id)
            case _:
                raise LocalProtocolError(f"the binary protocol has no {type(message).__name__}")
    except struct.error as error:
        raise LocalProtocolError(f"a number in {type(message).__name__} does not fit: {error}") from error


def decode_request(message_type: int, payload: bytes) -> Request:
    """Read a request; bytes behind the known fields are ignored.

    Raises:
        InvalidRequestError: It is no request, or too short.
    """
    match message_type:
        case MessageType.LISTEN:
            return Listen()
        case MessageType.CONNECT:
            if len(payload) < _CONNECT_LENGTH:
                raise InvalidRequestError(ResultCode.BAD_COMMAND, f"Connect with only {len(payload)} bytes")
            (device_id,) = _NUMBER.unpack_from(payload)
            (port,) = _PORT.unpack_from(payload, _PORT_OFFSET)
            return Connect(device_id, port)
        case _:
            raise InvalidRequestError(ResultCode.BAD_COMMAND, f"message {message_type} is no request")


def decode_reply(message_type: int, payload: bytes) -> Result | Notification:
    """Read what a daemon sends; bytes behind the known fields are ignored.

    Raises:
        UnknownMessageError: A message that no daemon sends in binary, or a phone without serial number.
        RemoteProtocolError: It is too short.
    """
    try:
        match message_type:
            case MessageType.RESULT:
                return Result(*_NUMBER.unpack_from(payload))
            case MessageType.ATTACHED:
                return Attached(_decode_device(payload))
            case MessageType.DETACHED:
                return Detached(*_NUMBER.unpack_from(payload))
            case MessageType.PAIRED:
                return Paired(*_NUMBER.unpack_from(payload))
            case _:
                raise UnknownMessageError(f"message {message_type} from a daemon", payload[:32])
    except struct.error as error:
        raise RemoteProtocolError(f"message {message_type} with only {len(payload)} bytes", payload) from error


def _encode_device(device: DeviceRecord) -> bytes:
    serial = device.serial_number.encode("ascii", "replace")
    if len(serial) > _MAX_SERIAL_LENGTH:
        raise LocalProtocolError(f"a serial number of {len(serial)} characters does not fit")
    return _DEVICE.pack(device.device_id, device.product_id, serial, device.location_id)


def _decode_device(payload: bytes) -> DeviceRecord:
    device_id, product_id, field, location_id = _DEVICE.unpack_from(payload)
    serial = clean_text(field.split(b"\0", 1)[0].decode("ascii", "replace"))
    if not serial:
        raise UnknownMessageError("a phone without serial number", payload[:32])
    return DeviceRecord(device_id, serial, product_id, location_id)
