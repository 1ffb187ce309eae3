"""Rules C5, C6 and C34 to C38."""

import gc
import plistlib
import struct
from collections.abc import Callable

import pytest

from usbmux.control.client import ClientSession, ClientState
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
    PairRecord,
    ReadBuid,
    ReadPairRecord,
    Reply,
    Request,
    Result,
    SavePairRecord,
)
from usbmux.errors import LocalProtocolError, RemoteProtocolError


def frame(version: int, message_type: int, tag: int, payload: bytes = b"") -> bytes:
    return struct.pack("<IIII", 16 + len(payload), version, message_type, tag) + payload


def plist(tag: int, **properties: object) -> bytes:
    return frame(1, 8, tag, plistlib.dumps(properties))


def result(tag: int, number: int) -> bytes:
    return plist(tag, MessageType="Result", Number=number)


DETACHED = plist(0, MessageType="Detached", DeviceID=5)
DEVICES = plist(1, DeviceList=[])
LOST = struct.pack("<IIII", 15, 1, 8, 0)


def hear(session: ClientSession, data: bytes) -> Reply | Notification | None:
    session.receive_data(data)
    return session.next_event()


def asked(message: Request, *answers: bytes, version: int = 1) -> ClientSession:
    session = ClientSession(version)
    session.request(message)
    for answer in answers:
        assert hear(session, answer) is not None
    return session


# Each state, each stimulus


def idle_again() -> ClientSession:
    return asked(ListDevices(), DEVICES)


def waiting() -> ClientSession:
    return asked(ListDevices())


def listening() -> ClientSession:
    return asked(Listen(), result(1, 0))


def connected() -> ClientSession:
    return asked(Connect(5, 22), result(1, 0))


def outcome(action: Callable[[], object]) -> str:
    try:
        outcome_ = action()
    except LocalProtocolError:
        return "local"
    except RemoteProtocolError:
        return "remote"
    return type(outcome_).__name__


STIMULI: dict[str, Callable[[ClientSession], object]] = {
    "request": lambda session: session.request(ReadBuid()),
    "nothing": lambda session: hear(session, b""),
    "half a frame": lambda session: hear(session, DEVICES[:-1]),
    "reply": lambda session: hear(session, DEVICES),
    "wrong reply": lambda session: hear(session, plist(1, BUID="b")),
    "wrong tag": lambda session: hear(session, plist(2, DeviceList=[])),
    "notification": lambda session: hear(session, DETACHED),
    "notification with tag": lambda session: hear(session, plist(1, MessageType="Detached", DeviceID=5)),
    "binary notification": lambda session: hear(session, frame(0, 5, 0, bytes(4))),
    "unknown notification": lambda session: hear(session, plist(0, MessageType="Heartbeat")),
    "unknown message number": lambda session: hear(session, frame(0, 7, 0)),
    "malformed plist": lambda session: hear(session, frame(1, 8, 1, b"nonsense")),
    "short binary": lambda session: hear(session, frame(0, 1, 1)),
    "impossible length": lambda session: hear(session, LOST),
    "take trailing data": lambda session: session.take_trailing_data(),
}
IDLE_OUTCOMES = dict.fromkeys(STIMULI, "remote") | {
    "request": "bytes",
    "nothing": "NoneType",
    "half a frame": "NoneType",
    "take trailing data": "local",
}
TABLE: dict[Callable[[], ClientSession], dict[str, str]] = {
    ClientSession: IDLE_OUTCOMES,
    idle_again: IDLE_OUTCOMES,
    waiting: dict.fromkeys(STIMULI, "remote")
    | {
        "request": "local",
        "nothing": "NoneType",
        "half a frame": "NoneType",
        "reply": "DeviceList",
        "take trailing data": "local",
    },
    listening: dict.fromkeys(STIMULI, "remote")
    | {
        "request": "local",
        "nothing": "NoneType",
        "half a frame": "NoneType",
        "notification": "Detached",
        "notification with tag": "Detached",
        "binary notification": "Detached",
        "unknown notification": "NoneType",
        "unknown message number": "NoneType",
        "take trailing data": "local",
    },
    connected: dict.fromkeys(STIMULI, "NoneType") | {"request": "local", "take trailing data": "bytes"},
}


@pytest.mark.parametrize("stimulus", STIMULI)
@pytest.mark.parametrize("start", TABLE)
def test_each_state_each_stimulus_outcome_of_table(start: Callable[[], ClientSession], stimulus: str) -> None:
    session = start()
    assert outcome(lambda: STIMULI[stimulus](session)) == TABLE[start][stimulus]


@pytest.mark.parametrize(
    ("message", "answer", "state"),
    [
        (Listen(), result(1, 0), ClientState.LISTENING),
        (Listen(), result(1, 1), ClientState.IDLE),
        (Connect(5, 22), result(1, 0), ClientState.CONNECTED),
        (Connect(5, 22), result(1, 3), ClientState.IDLE),
        (ListDevices(), DEVICES, ClientState.IDLE),
        (ListDevices(), result(1, 0), ClientState.IDLE),
        (SavePairRecord("a", b"r"), result(1, 0), ClientState.IDLE),
    ],
)
def test_waiting_reply_state_follows(message: Request, answer: bytes, state: ClientState) -> None:
    session = ClientSession()
    states = [session.state]
    session.request(message)
    states.append(session.state)
    assert hear(session, answer) is not None
    states.append(session.state)
    assert states == [ClientState.IDLE, ClientState.WAITING, state]


# Requests


def test_idle_plist_request_golden_header_and_identity() -> None:
    session = ClientSession(1, ClientIdentity("mux", library_version=3))
    data = session.request(Connect(5, 22))
    assert data[:16] == struct.pack("<IIII", len(data), 1, 8, 1)
    assert plistlib.loads(data[16:]) == {
        "MessageType": "Connect",
        "DeviceID": 5,
        "PortNumber": 5632,
        "ProgName": "mux",
        "kLibUSBMuxVersion": 3,
    }


@pytest.mark.parametrize(
    ("message", "data"),
    [
        (Listen(), bytes.fromhex("10000000 00000000 03000000 01000000")),
        (Connect(5, 22), bytes.fromhex("18000000 00000000 02000000 01000000 05000000 0016 0000")),
    ],
)
def test_idle_binary_request_golden_bytes(message: Request, data: bytes) -> None:
    assert ClientSession(0).request(message) == data


def test_idle_requests_one_after_the_other_tags_rise() -> None:
    session = ClientSession()
    for tag in (1, 2, 3):
        assert session.request(ListDevices())[12:16] == struct.pack("<I", tag)
        assert hear(session, plist(tag, DeviceList=[])) == DeviceList(())


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (0, ListDevices()),
        (0, Connect(5, 70000)),
        (1, Connect(5, 70000)),
        (1, SavePairRecord("a", bytes(65536))),
    ],
)
def test_idle_impossible_request_refused_and_still_idle(version: int, message: Request) -> None:
    session = ClientSession(version)
    with pytest.raises(LocalProtocolError):
        session.request(message)
    assert session.state is ClientState.IDLE
    assert session.request(Listen())[12:16] == b"\1\0\0\0"


def test_idle_request_that_just_fits_sent() -> None:
    session = ClientSession()
    overhead = len(ClientSession().request(SavePairRecord("", b"r")))
    data = session.request(SavePairRecord("x" * (65536 - overhead), b"r"))
    assert len(data) == 65536


@pytest.mark.parametrize("version", [-1, 2, 7])
def test_session_of_another_version_refused(version: int) -> None:
    with pytest.raises(LocalProtocolError, match="version"):
        ClientSession(version)


# Replies


def test_waiting_plist_request_answered_bad_version_in_binary_understood() -> None:
    session = waiting()
    assert hear(session, frame(0, 1, 1, struct.pack("<I", 6))) == Result(6)
    assert session.state is ClientState.IDLE


def test_waiting_binary_request_answered_as_plist_understood() -> None:
    session = asked(Listen(), version=0)
    assert hear(session, result(1, 0)) == Result(0)
    assert session.state is ClientState.LISTENING


def test_waiting_reply_under_another_header_version_understood() -> None:
    assert hear(waiting(), frame(0, 8, 1, plistlib.dumps({"DeviceList": []}))) == DeviceList(())


def test_waiting_reply_above_the_limit_of_requests_accepted() -> None:
    session = asked(ReadBuid())
    assert hear(session, plist(1, BUID="b" * 70_000)) == Buid("b" * 255)


def test_waiting_reply_above_one_mebibyte_framing_lost() -> None:
    session = waiting()
    with pytest.raises(RemoteProtocolError, match="impossible length 1048577"):
        hear(session, struct.pack("<IIII", (1 << 20) + 1, 1, 8, 1))


def test_waiting_result_and_notifications_at_once_all_heard() -> None:
    session = asked(Listen())
    device: dict[str, object] = {"DeviceID": 5, "SerialNumber": "s"}
    attached = plist(0, MessageType="Attached", DeviceID=5, Properties=device)
    odd = plist(0, MessageType="Attached", DeviceID=6, Properties={})
    session.receive_data(result(1, 0) + attached + odd + DETACHED + plist(0, MessageType="Paired", DeviceID=7))
    events = [session.next_event() for _ in range(5)]
    assert events == [Result(0), Attached(DeviceRecord(5, "s")), Detached(5), Paired(7), None]


# What is kept, because it is said again and again


def test_idle_asked_the_same_again_answers_are_told_apart_by_their_bytes() -> None:
    lists = [(DeviceRecord(5, "s"),), (), (DeviceRecord(5, "s"),), (DeviceRecord(6, "s"),)]
    for devices in lists:
        entries = [{"DeviceID": each.device_id, "Properties": {"SerialNumber": "s"}} for each in devices]
        session = ClientSession()
        session.request(ListDevices())
        assert hear(session, plist(1, DeviceList=entries)) == DeviceList(devices)


def test_idle_asked_the_same_by_other_programs_each_says_who_it_is() -> None:
    for program in ("one", "other", "one"):
        data = ClientSession(identity=ClientIdentity(program=program)).request(Connect(5, 22))
        assert plistlib.loads(data[16:])["ProgName"] == program


def test_idle_asked_with_what_equals_a_number_both_are_sent_as_that_number() -> None:
    for device_id in (True, 1):  # equal, and so one and the same to whatever remembers requests
        data = ClientSession(identity=ClientIdentity("equal")).request(Connect(device_id, 22))
        assert b"<key>DeviceID</key>\n\t<integer>1</integer>" in data


def test_pair_record_sent_and_read_is_not_kept() -> None:
    record = b"a private key"
    session = asked(SavePairRecord("s", record), result(1, 0))
    session.request(ReadPairRecord("s"))
    assert hear(session, plist(2, PairRecordData=record)) == PairRecord(record)
    del session
    gc.collect()
    kinds = PairRecord | SavePairRecord
    assert [kept for kept in gc.get_objects() if isinstance(kept, kinds) and kept.data == record] == []


# Reading no further than needed


@pytest.mark.parametrize("version", [0, 1])
def test_waiting_shell_reads_what_is_needed_stops_at_the_stream(version: int) -> None:
    answers = {0: frame(0, 1, 1, bytes(4)), 1: result(1, 0)}
    stream = answers[version] + b"SSH-2.0-phone"
    session = asked(Connect(5, 22), version=version)
    while session.state is ClientState.WAITING:
        count = session.bytes_needed
        assert count > 0
        piece, stream = stream[:count], stream[count:]
        hear(session, piece)
    assert session.state is ClientState.CONNECTED
    assert session.bytes_needed == 0
    assert stream == b"SSH-2.0-phone"


def test_connected_bytes_behind_the_result_kept_for_the_user() -> None:
    session = asked(Connect(5, 22), result(1, 0) + b"SSH-2.0")
    session.receive_data(b"-phone")
    assert session.next_event() is None
    assert session.take_trailing_data() == b"SSH-2.0-phone"
    assert session.take_trailing_data() == b""
