"""Binary messages of a hostile client or daemon: our errors only; what is understood can be said.

An input is the message's number (one byte) and its payload.
"""

from __future__ import annotations

from typing import Final

from tests.fuzz.cursor import Cursor
from usbmux.control import binary_codec
from usbmux.control.message import Attached
from usbmux.errors import RemoteProtocolError

MAX_LENGTH: Final = 512


def fuzz_one(data: bytes) -> None:
    cursor = Cursor(data)
    message_type, payload = cursor.byte(), cursor.rest()
    check_request(message_type, payload)
    check_reply(message_type, payload)


def check_request(message_type: int, payload: bytes) -> None:
    try:
        request = binary_codec.decode_request(message_type, payload)
    except RemoteProtocolError:
        return
    assert binary_codec.decode_request(*binary_codec.encode(request)) == request


def check_reply(message_type: int, payload: bytes) -> None:
    try:
        reply = binary_codec.decode_reply(message_type, payload)
    except RemoteProtocolError:
        return
    again = binary_codec.decode_reply(*binary_codec.encode(reply))
    if isinstance(reply, Attached) and not reply.device.serial_number.isascii():  # what is not is replaced
        assert binary_codec.decode_reply(*binary_codec.encode(again)) == again
    else:
        assert again == reply
