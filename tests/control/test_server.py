"""Rules C2, C3, C5, C13, C28 and C31 to C33."""

import plistlib
import struct
from collections.abc import Callable

import pytest

from usbmux.control.message import (
    Attached,
    Buid,
    ClientIdentity,
    Connect,
    Detached,
    DeviceList,
    DeviceRecord,
    ListDevices,
    Listen,
    Notification,
    Paired,
    Reply,
    Request,
    Result,
)
from usbmux.control.server import RequestInvalid, RequestReceived, ServerSession, ServerState
from usbmux.errors import LocalProtocolError, RemoteProtocolError


def frame(version: int, message_type: int, tag: int, payload: bytes = b"") -> bytes:
    return struct.pack("<IIII", 16 + len(payload), version, message_type, tag) + payload


def plist(tag: int, **properties: object) -> bytes:
    return frame(1, 8, tag, plistlib.dumps(properties))


def plist_result(tag: int, number: int) -> tuple[int, int, int, object]:
    return (1, 8, tag, {"MessageType": "Result", "Number": number})


def binary_result(tag: int, number: int) -> tuple[int, int, int, object]:
    return (0, 1, tag, struct.pack("<I", number))


def read(data: bytes) -> tuple[int, int, int, object]:
    """Version, message, tag and payload of the one frame in `data`."""
    length, version, message_type, tag = struct.unpack_from("<IIII", data)
    assert length == len(data)
    return version, message_type, tag, plistlib.loads(data[16:]) if message_type == 8 else data[16:]


LISTEN = frame(0, 3, 1)
CONNECT = frame(0, 2, 2, bytes.fromhex("05000000 0016 0000"))
PLIST_LISTEN = plist(3, MessageType="Listen")
PLIST_CONNECT = plist(4, MessageType="Connect", DeviceID=5, PortNumber=5632)
PLIST_LIST = plist(5, MessageType="ListDevices")
LOST = frame(0, 3, 0).replace(b"\x10", b"\x0f")


def ask(session: ServerSession, data: bytes) -> RequestReceived | RequestInvalid | None:
    session.receive_data(data)
    return session.next_event()


def ask_and_answer(data: bytes, reply: Reply, session: ServerSession | None = None) -> ServerSession:
    session = session or ServerSession()
    assert ask(session, data) is not None
    session.reply(reply)
    return session


# Each state, each stimulus


def pending() -> ServerSession:
    session = ServerSession()
    ask(session, PLIST_LIST)
    return session


def connecting() -> ServerSession:
    session = ServerSession()
    ask(session, PLIST_CONNECT)
    return session


def connected() -> ServerSession:
    return ask_and_answer(PLIST_CONNECT, Result(0))


def listening() -> ServerSession:
    return ask_and_answer(PLIST_LISTEN, Result(0))


def listening_with_command() -> ServerSession:
    session = listening()
    ask(session, PLIST_LIST)
    return session


def closing() -> ServerSession:
    return ask_and_answer(PLIST_LIST, Result(1), listening())


def lost() -> ServerSession:
    session = ServerSession()
    with pytest.raises(RemoteProtocolError):
        ask(session, LOST)
    return session


def outcome(action: Callable[[], object]) -> str:
    try:
        result = action()
    except LocalProtocolError:
        return "local"
    except RemoteProtocolError:
        return "remote"
    return type(result).__name__


STIMULI: dict[str, Callable[[ServerSession], object]] = {
    "request": lambda session: ask(session, PLIST_LIST),
    "impossible length": lambda session: ask(session, LOST),
    "success": lambda session: session.reply(Result(0)),
    "failure": lambda session: session.reply(Result(3)),
    "data reply": lambda session: session.reply(DeviceList(())),
    "notification": lambda session: session.notify(Detached(5)),
    "take trailing data": lambda session: session.take_trailing_data(),
}
DEAF = dict.fromkeys(STIMULI, "local") | {"request": "NoneType", "impossible length": "NoneType"}
OUTCOMES: dict[Callable[[], ServerSession], dict[str, str]] = {
    ServerSession: DEAF | {"request": "RequestReceived", "impossible length": "remote"},
    pending: DEAF | {"success": "bytes", "failure": "bytes", "data reply": "bytes"},
    connecting: DEAF | {"success": "bytes", "failure": "bytes"},
    connected: DEAF | {"take trailing data": "bytes"},
    listening: DEAF | {"request": "RequestInvalid", "impossible length": "remote", "notification": "bytes"},
    listening_with_command: DEAF | {"success": "bytes", "failure": "bytes", "notification": "bytes"},
    closing: DEAF,
    lost: DEAF,
}
EDGES: dict[tuple[Callable[[], ServerSession], str], ServerState] = {
    (ServerSession, "impossible length"): ServerState.CLOSING,
    (connecting, "success"): ServerState.CONNECTED,
    (connecting, "failure"): ServerState.COMMAND,
    (listening, "impossible length"): ServerState.CLOSING,
    (listening_with_command, "success"): ServerState.CLOSING,
    (listening_with_command, "failure"): ServerState.CLOSING,
}


@pytest.mark.parametrize("stimulus", STIMULI)
@pytest.mark.parametrize("start", OUTCOMES)
def test_each_state_each_stimulus_outcome_of_table(start: Callable[[], ServerSession], stimulus: str) -> None:
    session = start()
    expected_state = EDGES.get((start, stimulus), session.state)
    assert outcome(lambda: STIMULI[stimulus](session)) == OUTCOMES[start][stimulus]
    assert session.state is expected_state


def test_each_start_is_in_the_state_it_says() -> None:
    assert [start().state for start in OUTCOMES] == [
        ServerState.COMMAND,
        ServerState.COMMAND,
        ServerState.CONNECTING,
        ServerState.CONNECTED,
        ServerState.LISTENING,
        ServerState.LISTENING,
        ServerState.CLOSING,
        ServerState.CLOSING,
    ]


# Requests and replies


@pytest.mark.parametrize(
    ("data", "request_", "answer"),
    [
        (LISTEN, Listen(), binary_result(1, 0)),
        (CONNECT, Connect(5, 22), binary_result(2, 0)),
        (frame(1, 3, 9), Listen(), binary_result(9, 0)),
        (frame(1, 2, 9, bytes.fromhex("05000000 0016 0000")), Connect(5, 22), binary_result(9, 0)),
        (PLIST_LISTEN, Listen(), plist_result(3, 0)),
        (PLIST_CONNECT, Connect(5, 22), plist_result(4, 0)),
        (frame(0, 8, 9, plistlib.dumps({"MessageType": "Listen"})), Listen(), plist_result(9, 0)),
        (plist(0, MessageType="ListDevices"), ListDevices(), plist_result(0, 0)),
        (plist(0xFFFFFFFF, MessageType="ListDevices"), ListDevices(), plist_result(0xFFFFFFFF, 0)),
        (
            frame(1, 8, 9, plistlib.dumps({"MessageType": "Listen"}, fmt=plistlib.FMT_BINARY)),
            Listen(),
            plist_result(9, 0),
        ),
    ],
)
def test_command_request_answered_in_its_encoding_with_its_tag(
    data: bytes, request_: Request, answer: tuple[int, int, int, object]
) -> None:
    session = ServerSession()
    assert ask(session, data) == RequestReceived(request_)
    assert read(session.reply(Result(0))) == answer


def test_command_data_reply_sent_under_tag() -> None:
    session = ServerSession()
    ask(session, plist(8, MessageType="ReadBUID"))
    assert read(session.reply(Buid("ABC"))) == (1, 8, 8, {"BUID": "ABC"})


def test_command_several_requests_at_once_one_at_a_time_in_order() -> None:
    session = ServerSession()
    session.receive_data(PLIST_LIST + plist(6, MessageType="ReadBUID") + LISTEN)
    assert session.next_event() == RequestReceived(ListDevices())
    assert session.next_event() is None
    assert read(session.reply(DeviceList(())))[2] == 5
    assert isinstance(session.next_event(), RequestReceived)
    assert read(session.reply(Buid("b")))[2] == 6
    assert session.next_event() == RequestReceived(Listen())
    assert read(session.reply(Result(0))) == binary_result(1, 0)
    assert session.state is ServerState.LISTENING


def test_command_wrong_kind_of_reply_still_pending() -> None:
    session = pending()
    with pytest.raises(LocalProtocolError, match="Buid is no answer to ListDevices"):
        session.reply(Buid("b"))
    assert read(session.reply(DeviceList(())))[2] == 5


def test_command_reply_that_cannot_be_encoded_still_pending() -> None:
    session = ServerSession()
    ask(session, CONNECT)
    with pytest.raises(LocalProtocolError, match="fit"):
        session.reply(Result(-1))
    assert session.state is ServerState.CONNECTING
    assert read(session.reply(Result(3))) == binary_result(2, 3)


def test_command_listen_failed_takes_requests_again() -> None:
    session = ask_and_answer(PLIST_LISTEN, Result(1))
    assert session.state is ServerState.COMMAND
    assert ask(session, PLIST_LIST) == RequestReceived(ListDevices())


def test_command_identity_last_one_seen() -> None:
    session = ServerSession()
    assert session.identity == ClientIdentity()
    ask_and_answer(plist(1, MessageType="ListDevices", ProgName="a", kLibUSBMuxVersion=3), Result(0), session)
    assert session.identity == ClientIdentity("a", library_version=3)
    ask_and_answer(plist(1, MessageType="Nonsense", ProgName="b"), Result(1), session)
    ask_and_answer(LISTEN, Result(0), session)
    assert session.identity == ClientIdentity("a", library_version=3)


# Connect


@pytest.mark.parametrize("connect", [CONNECT, PLIST_CONNECT])
def test_connected_bytes_behind_connect_kept_for_the_phone(connect: bytes) -> None:
    session = ServerSession()
    session.receive_data(connect + b"SSH-2.0")
    assert session.next_event() == RequestReceived(Connect(5, 22))
    session.receive_data(b"-client\r\n")
    assert session.next_event() is None
    session.reply(Result(0))
    session.receive_data(b"more")
    assert session.next_event() is None
    assert session.take_trailing_data() == b"SSH-2.0-client\r\nmore"
    assert session.take_trailing_data() == b""


def test_connecting_refused_bytes_behind_are_the_next_request() -> None:
    session = ServerSession()
    session.receive_data(PLIST_CONNECT + PLIST_LIST)
    session.next_event()
    assert read(session.reply(Result(3))) == plist_result(4, 3)
    assert session.next_event() == RequestReceived(ListDevices())


# Notifications

PHONE = DeviceRecord(5, "abc", 0x12A8, 0x140002, 480_000_000)


@pytest.mark.parametrize(
    ("notification", "binary", "properties"),
    [
        (Detached(5), (0, 5, 0, b"\5\0\0\0"), {"MessageType": "Detached", "DeviceID": 5}),
        (Paired(5), (0, 6, 0, b"\5\0\0\0"), {"MessageType": "Paired", "DeviceID": 5}),
        (
            Attached(PHONE),
            (0, 4, 0, bytes.fromhex("05000000a812") + b"abc" + bytes(255) + bytes.fromhex("02001400")),
            {
                "MessageType": "Attached",
                "DeviceID": 5,
                "Properties": {
                    "ConnectionSpeed": 480_000_000,
                    "ConnectionType": "USB",
                    "DeviceID": 5,
                    "LocationID": 0x140002,
                    "ProductID": 0x12A8,
                    "SerialNumber": "abc",
                },
            },
        ),
    ],
)
def test_listening_notification_tag_0_in_encoding_of_listen(
    notification: Notification, binary: tuple[int, int, int, object], properties: dict[str, object]
) -> None:
    assert read(ask_and_answer(LISTEN, Result(0)).notify(notification)) == binary
    assert read(listening().notify(notification)) == (1, 8, 0, properties)


def test_listening_same_notification_for_many_is_encoded_once() -> None:
    first, *others = [listening().notify(Detached(77)) for _ in range(3)]
    assert all(data is first for data in others)


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (PLIST_LIST, plist_result(5, 1)),
        (PLIST_LISTEN, plist_result(3, 1)),
        (LISTEN, binary_result(1, 1)),
        (frame(7, 9, 9), plist_result(9, 1)),
    ],
)
def test_listening_any_message_bad_command_then_close(data: bytes, answer: tuple[int, int, int, object]) -> None:
    session = listening()
    event = ask(session, data)
    assert isinstance(event, RequestInvalid)
    assert event.code == 1
    assert read(session.reply(Result(event.code))) == answer
    assert session.state is ServerState.CLOSING
    assert ask(session, PLIST_LIST) is None


# Bad input


@pytest.mark.parametrize(
    ("data", "code", "answer"),
    [
        (frame(2, 8, 7, plistlib.dumps({"MessageType": "Listen"})), 6, binary_result(7, 6)),
        (frame(0xFFFFFFFF, 3, 7), 6, binary_result(7, 6)),
        (frame(0, 7, 7), 1, binary_result(7, 1)),
        (frame(1, 99, 7), 1, binary_result(7, 1)),
        (frame(0, 1, 7, bytes(4)), 1, binary_result(7, 1)),
        (frame(0, 2, 7, bytes(7)), 1, binary_result(7, 1)),
        (frame(1, 8, 7), 1, plist_result(7, 1)),
        (frame(1, 8, 7, b"<plist><array/></plist>"), 1, plist_result(7, 1)),
        (plist(7), 1, plist_result(7, 1)),
        (plist(7, MessageType=5), 1, plist_result(7, 1)),
        (plist(7, MessageType="Nonsense"), 1, plist_result(7, 1)),
        (plist(7, MessageType="Connect", PortNumber=5632), 2, plist_result(7, 2)),
        (plist(7, MessageType="Connect", DeviceID=5, PortNumber=70000), 1, plist_result(7, 1)),
        (plist(7, MessageType="ReadPairRecord"), 22, plist_result(7, 22)),
        (plist(7, MessageType="SavePairRecord", PairRecordID="a"), 22, plist_result(7, 22)),
    ],
)
def test_command_bad_input_answered_and_goes_on(data: bytes, code: int, answer: tuple[int, int, int, object]) -> None:
    session = ServerSession()
    event = ask(session, data + PLIST_LIST)
    assert isinstance(event, RequestInvalid)
    assert (event.code, bool(event.reason)) == (code, True)
    assert read(session.reply(Result(event.code))) == answer
    assert session.state is ServerState.COMMAND
    assert session.next_event() == RequestReceived(ListDevices())


@pytest.mark.parametrize(
    ("data", "answer"), [(frame(2, 3, 7), plist_result(7, 6)), (frame(0, 7, 7), plist_result(7, 1))]
)
def test_command_bad_input_after_a_plist_answered_as_plist(data: bytes, answer: tuple[int, int, int, object]) -> None:
    session = ask_and_answer(PLIST_LIST, DeviceList(()))
    event = ask(session, data)
    assert isinstance(event, RequestInvalid)
    assert read(session.reply(Result(event.code))) == answer


def test_command_binary_request_after_a_plist_answered_in_binary() -> None:
    session = ask_and_answer(PLIST_LIST, DeviceList(()))
    ask(session, LISTEN)
    assert read(session.reply(Result(0))) == binary_result(1, 0)
    assert read(session.notify(Detached(1))) == (0, 5, 0, b"\1\0\0\0")


@pytest.mark.parametrize("length", [0, 15, 65537, 0xFFFFFFFF])
def test_command_impossible_length_framing_lost(length: int) -> None:
    session = ServerSession()
    with pytest.raises(RemoteProtocolError, match="impossible length"):
        ask(session, struct.pack("<IIII", length, 1, 8, 1))
    assert session.state is ServerState.CLOSING
    assert ask(session, PLIST_LIST) is None
