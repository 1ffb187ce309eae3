"""Rules C9 to C11."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.control import binary_codec
from usbmux.control.frame import MessageType
from usbmux.control.message import (
    Attached,
    Buid,
    Connect,
    DeletePairRecord,
    Detached,
    DeviceList,
    DeviceRecord,
    InvalidRequestError,
    ListDevices,
    Listen,
    ListenerList,
    ListListeners,
    Message,
    Notification,
    Paired,
    PairRecord,
    ReadBuid,
    ReadPairRecord,
    Request,
    Result,
    SavePairRecord,
    UnknownMessageError,
)
from usbmux.errors import LocalProtocolError, RemoteProtocolError

UDID = "00008030-000A1B2C3D4E5F60"
DEVICE = DeviceRecord(0x01020304, UDID, product_id=0x12A8, location_id=0x00140002)
DEVICE_BYTES = bytes.fromhex("04030201 a812") + UDID.encode() + bytes(256 - 25) + bytes(2) + bytes.fromhex("02001400")

REQUESTS: list[tuple[Request, MessageType, bytes]] = [
    (Listen(), MessageType.LISTEN, b""),
    (Connect(5, 22), MessageType.CONNECT, bytes.fromhex("05000000 0016 0000")),
    (Connect(0xFFFFFFFF, 62078), MessageType.CONNECT, bytes.fromhex("ffffffff f27e 0000")),
    (Connect(0, 0), MessageType.CONNECT, bytes(8)),
]
REPLIES: list[tuple[Result | Notification, MessageType, bytes]] = [
    (Result(0), MessageType.RESULT, bytes(4)),
    (Result(6), MessageType.RESULT, bytes.fromhex("06000000")),
    (Attached(DEVICE), MessageType.ATTACHED, DEVICE_BYTES),
    (Detached(0x01020304), MessageType.DETACHED, bytes.fromhex("04030201")),
    (Paired(7), MessageType.PAIRED, bytes.fromhex("07000000")),
]


@pytest.mark.parametrize(("request_", "message_type", "payload"), REQUESTS)
def test_request_encoded_and_decoded_golden_bytes(request_: Request, message_type: MessageType, payload: bytes) -> None:
    assert binary_codec.encode(request_) == (message_type, payload)
    assert binary_codec.decode_request(message_type, payload) == request_


@pytest.mark.parametrize(("reply", "message_type", "payload"), REPLIES)
def test_reply_encoded_and_decoded_golden_bytes(
    reply: Result | Notification, message_type: MessageType, payload: bytes
) -> None:
    assert binary_codec.encode(reply) == (message_type, payload)
    assert binary_codec.decode_reply(message_type, payload) == reply


def test_attached_encoded_has_length_of_the_structure() -> None:
    assert len(binary_codec.encode(Attached(DEVICE))[1]) == 268


def test_payloads_with_bytes_behind_ignored() -> None:
    assert binary_codec.decode_request(MessageType.LISTEN, b"xyz") == Listen()
    assert binary_codec.decode_request(MessageType.CONNECT, bytes.fromhex("05000000 0016 ffff ff")) == Connect(5, 22)
    assert binary_codec.decode_reply(MessageType.RESULT, bytes(5)) == Result(0)
    assert binary_codec.decode_reply(MessageType.ATTACHED, DEVICE_BYTES + b"x") == Attached(DEVICE)


@pytest.mark.parametrize(
    "message",
    [
        ListDevices(),
        ListListeners(),
        ReadBuid(),
        ReadPairRecord("a"),
        SavePairRecord("a", b"b"),
        DeletePairRecord("a"),
        DeviceList(()),
        ListenerList(()),
        Buid("b"),
        PairRecord(b"r"),
    ],
)
def test_message_of_plist_protocol_only_refused(message: Message) -> None:
    with pytest.raises(LocalProtocolError, match=f"no {type(message).__name__}"):
        binary_codec.encode(message)


@pytest.mark.parametrize(
    "message",
    [
        Connect(-1, 22),
        Connect(1 << 32, 22),
        Connect(1, 65536),
        Connect(1, -1),
        Result(-1),
        Detached(1 << 32),
        Attached(DeviceRecord(1, UDID, product_id=0x10000)),
        Attached(DeviceRecord(1, UDID, location_id=1 << 32)),
        Attached(DeviceRecord(1, "x" * 256)),
    ],
)
def test_value_too_big_for_field_refused(message: Message) -> None:
    with pytest.raises(LocalProtocolError, match="not fit"):
        binary_codec.encode(message)


@pytest.mark.parametrize("message_type", [0, 1, 4, 5, 6, 7, 8, 9, 0xFFFFFFFF])
def test_number_that_is_no_request_bad_command(message_type: int) -> None:
    with pytest.raises(InvalidRequestError, match="no request") as caught:
        binary_codec.decode_request(message_type, bytes(8))
    assert caught.value.code == 1


@pytest.mark.parametrize("length", range(8))
def test_connect_cut_short_bad_command(length: int) -> None:
    with pytest.raises(InvalidRequestError, match=f"only {length} bytes") as caught:
        binary_codec.decode_request(MessageType.CONNECT, bytes(length))
    assert caught.value.code == 1


@pytest.mark.parametrize(("reply", "message_type", "payload"), REPLIES)
def test_reply_cut_short_remote_error(reply: Notification, message_type: MessageType, payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="only") as caught:
        binary_codec.decode_reply(message_type, payload[:-1])
    assert not isinstance(caught.value, UnknownMessageError)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("message_type", [0, 2, 3, 7, 8, 9])
def test_number_that_no_daemon_sends_unknown(message_type: int) -> None:
    with pytest.raises(UnknownMessageError):
        binary_codec.decode_reply(message_type, bytes(300))


def test_attached_without_serial_unknown() -> None:
    with pytest.raises(UnknownMessageError, match="serial"):
        binary_codec.decode_reply(MessageType.ATTACHED, bytes(268))


def test_attached_serial_odd_bytes_made_printable() -> None:
    full = DEVICE_BYTES[:6] + b"\x01\xff" + b"a" * 254 + DEVICE_BYTES[262:]
    message = binary_codec.decode_reply(MessageType.ATTACHED, full)
    assert message == Attached(DeviceRecord(0x01020304, "?\ufffd" + "a" * 253, 0x12A8, 0x00140002))


def test_attached_serial_outside_ascii_question_mark() -> None:
    _type, payload = binary_codec.encode(Attached(DeviceRecord(1, "é1")))
    assert payload[6:9] == b"?1\0"


@given(message_type=st.integers(0, 10), payload=st.binary(max_size=300))
def test_random_bytes_only_protocol_errors(message_type: int, payload: bytes) -> None:
    with suppress(InvalidRequestError):
        assert isinstance(binary_codec.decode_request(message_type, payload), Listen | Connect)
    with suppress(RemoteProtocolError):
        assert isinstance(binary_codec.decode_reply(message_type, payload), Result | Attached | Detached | Paired)


@given(device_id=st.integers(0, 0xFFFFFFFF), port=st.integers(0, 0xFFFF))
def test_connect_any_numbers_round_trip(device_id: int, port: int) -> None:
    connect = Connect(device_id, port)
    assert binary_codec.decode_request(*binary_codec.encode(connect)) == connect
