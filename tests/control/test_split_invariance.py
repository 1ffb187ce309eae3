"""Rule C8: nothing follows from how a stream is cut, for either side; and no bytes at all bring out another error."""

import plistlib
import struct
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from usbmux.control.client import ClientSession, ClientState
from usbmux.control.message import Connect, ListDevices, Listen, ReadBuid, Request, Result
from usbmux.control.server import RequestInvalid, RequestReceived, ServerSession, ServerState
from usbmux.errors import RemoteProtocolError


def frame(version: int, message_type: int, tag: int, payload: bytes = b"") -> bytes:
    return struct.pack("<IIII", 16 + len(payload), version, message_type, tag) + payload


def plist(tag: int, **properties: object) -> bytes:
    return frame(1, 8, tag, plistlib.dumps(properties, fmt=plistlib.FMT_BINARY))


def pieces(stream: bytes, cuts: list[int]) -> Iterable[bytes]:
    positions = sorted(cut % (len(stream) + 1) for cut in cuts)
    return [stream[start:end] for start, end in pairwise([0, *positions, len(stream)])]


FROM_CLIENT = [
    frame(0, 3, 1),
    frame(0, 2, 2, bytes.fromhex("05000000 0016 0000")),
    frame(3, 8, 3),
    frame(0, 9, 4),
    plist(5, MessageType="ListDevices"),
    plist(6, MessageType="Connect", DeviceID=3, PortNumber=5632),
    plist(7, MessageType="Nonsense"),
    frame(1, 8, 8, b"nonsense"),
    struct.pack("<IIII", 15, 1, 8, 9),
    b"loose bytes",
]
FROM_DAEMON = [
    *(plist(tag, MessageType="Result", Number=number) for tag in (1, 2, 3) for number in (0, 1)),
    frame(0, 1, 1, bytes(4)),
    plist(1, DeviceList=[]),
    plist(2, BUID="b"),
    plist(0, MessageType="Detached", DeviceID=5),
    plist(0, MessageType="Heartbeat"),
    frame(0, 6, 0, bytes(4)),
    frame(1, 8, 1, b"nonsense"),
    b"loose bytes",
]
cuts_of_stream = st.lists(st.integers(0, 10_000), max_size=12)


def serve(chunks: Iterable[bytes]) -> list[object]:
    """What a daemon sees and answers that refuses Connect to phone 5 only."""
    session = ServerSession()
    seen: list[object] = []
    trailing = b""
    for chunk in chunks:
        session.receive_data(chunk)
        try:
            while (event := session.next_event()) is not None:
                code = event.code if isinstance(event, RequestInvalid) else 0
                refused = event == RequestReceived(Connect(5, 22))
                seen += [event, session.reply(Result(3 if refused else code)), session.state]
        except RemoteProtocolError as error:
            seen.append(str(error))
        if session.state is ServerState.CONNECTED:
            trailing += session.take_trailing_data()
    return [*seen, trailing]


def listen(requests: list[Request], chunks: Iterable[bytes]) -> list[object]:
    """What a client sees that sends the next request as soon as it can, and gives up at an error."""
    session = ClientSession()
    waiting = iter(requests)
    seen: list[object] = [session.request(next(waiting))]
    trailing = b""
    for chunk in chunks:
        session.receive_data(chunk)
        try:
            while (event := session.next_event()) is not None:
                seen += [event, session.state]
                if session.state is ClientState.IDLE:
                    seen.append(session.request(next(waiting)))
        except (RemoteProtocolError, StopIteration) as error:
            return [*seen, type(error)]
        if session.state is ClientState.CONNECTED:
            trailing += session.take_trailing_data()
    return [*seen, trailing]


@given(sent=st.lists(st.sampled_from(FROM_CLIENT), max_size=6), cuts=cuts_of_stream)
def test_server_any_split_same_events(sent: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(sent)
    assert serve(pieces(stream, cuts)) == serve([stream])


@given(
    requests=st.lists(st.sampled_from([Listen(), Connect(5, 22), ListDevices(), ReadBuid()]), min_size=1, max_size=4),
    sent=st.lists(st.sampled_from(FROM_DAEMON), max_size=6),
    cuts=cuts_of_stream,
)
def test_client_any_split_same_events(requests: list[Request], sent: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(sent)
    assert listen(requests, pieces(stream, cuts)) == listen(requests, [stream])


@given(st.lists(st.builds(frame, st.integers(0, 2), st.integers(0, 9), st.integers(0, 3), st.binary(max_size=40))))
def test_server_random_frames_each_answered(sent: list[bytes]) -> None:
    seen = serve(sent)
    events = [event for event in seen if isinstance(event, RequestReceived | RequestInvalid)]
    silenced = {ServerState.CONNECTED, ServerState.CLOSING} & {
        state for state in seen if isinstance(state, ServerState)
    }
    assert len(events) == len(sent) or silenced


@given(st.binary(max_size=200), st.sampled_from([Listen(), Connect(5, 22), ListDevices()]))
def test_client_random_bytes_only_remote_errors(data: bytes, request: Request) -> None:
    session = ClientSession()
    session.request(request)
    session.receive_data(frame(1, 8, 1, data))
    with suppress(RemoteProtocolError):
        assert session.next_event() is None
