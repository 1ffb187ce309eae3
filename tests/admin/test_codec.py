"""Requests and answers there and back, and everything that is neither."""

from __future__ import annotations

import json
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.admin.codec import decode_answer, decode_request, encode_answer, encode_request
from usbmux.admin.line_reader import MAX_ANSWER_LENGTH
from usbmux.admin.message import (
    CLIENTS_A_PAGE,
    Answer,
    CaptureBegun,
    CaptureFormat,
    CaptureRequest,
    ClientActivity,
    ClientStatus,
    ConnectionState,
    ConnectionStatus,
    Kicked,
    KickRequest,
    PhoneState,
    PhoneStatus,
    Refused,
    Request,
    Status,
    StatusPart,
    StatusRequest,
)
from usbmux.errors import RemoteProtocolError

Record = TypeVar("Record")
numbers = st.integers(0, 2**63)
udids = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64)
parts = st.lists(st.sampled_from(StatusPart), unique=True).map(tuple)
requests = (
    st.builds(StatusRequest, parts=parts, after=numbers)
    | st.builds(CaptureRequest, udid=st.none() | udids, format=st.sampled_from(CaptureFormat))
    | st.builds(KickRequest, client=numbers)
)
phones = st.builds(
    PhoneStatus,
    state=st.sampled_from(PhoneState),
    port_path=st.text(),
    udid=st.none() | st.text(),
    product_id=st.none() | numbers,
    connection_speed=st.none() | numbers,
    device_id=st.none() | numbers,
    attach_count=numbers,
    last_error=st.none() | st.text(),
    next_try_s=st.none() | st.floats(0, 60),
    reconnects_last_hour=numbers,
    bytes_to_phone=numbers,
    bytes_from_phone=numbers,
)
seconds = st.floats(0, 1e9)
clients = st.builds(
    ClientStatus,
    number=numbers,
    address=st.text(),
    what=st.sampled_from(ClientActivity),
    age_s=seconds,
    uid=st.none() | numbers,
    gid=st.none() | numbers,
    pid=st.none() | numbers,
    program=st.none() | st.text(),
)
connections = st.builds(
    ConnectionStatus,
    client=numbers,
    udid=st.text(),
    port=numbers,
    local_port=numbers,
    state=st.sampled_from(ConnectionState),
    age_s=seconds,
    send_room=numbers,
    bytes_to_phone=numbers,
    bytes_from_phone=numbers,
    backlog=numbers,
    phone_stalls=numbers,
    phone_stalled_s=seconds,
    client_stalls=numbers,
    client_stalled_s=seconds,
)


@st.composite
def statuses(draw: st.DrawFn) -> Status:
    asked = draw(parts)

    def some(part: StatusPart, records: st.SearchStrategy[Record]) -> tuple[Record, ...]:
        return tuple(draw(st.lists(records, max_size=3))) if part in asked else ()

    return Status(
        version=draw(st.text()),
        phones=some(StatusPart.PHONES, phones),
        clients=some(StatusPart.CLIENTS, clients),
        connections=some(StatusPart.CONNECTIONS, connections),
        next_after=draw(st.none() | numbers),
        parts=asked,
    )


answers = (
    statuses() | st.just(CaptureBegun()) | st.builds(Kicked, found=st.booleans()) | st.builds(Refused, error=st.text())
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
keys = st.sampled_from(
    ["command", "udid", "format", "parts", "after", "client", "ok", "error", "found", "version", "phones", "other"]
)
values = documents | st.sampled_from(
    [
        "status",
        "capture",
        "kick",
        "pcapng",
        True,
        False,
        [{}],
        [{"state": "attached"}],
        ["phones"],
        ["clients", "connections"],
    ]
)


@given(requests)
def test_any_request_there_and_back_is_the_same(request: Request) -> None:
    line = encode_request(request)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode_request(line[:-1]) == request


@given(answers)
def test_any_answer_there_and_back_is_the_same(answer: Answer) -> None:
    line = encode_answer(answer)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode_answer(line[:-1], request_of(answer)) == answer


def request_of(answer: Answer) -> Request:
    if isinstance(answer, Status):
        return StatusRequest(answer.parts)
    return KickRequest(1) if isinstance(answer, Kicked) else CaptureRequest()


def test_capture_without_its_options_is_of_all_phones_as_pcapng() -> None:
    assert decode_request(b'{"command": "capture"}') == CaptureRequest(None, CaptureFormat.PCAPNG)


def test_status_of_phones_is_asked_for_as_ever_and_so_answered() -> None:
    assert encode_request(StatusRequest()) == b'{"command": "status"}\n'
    assert decode_request(b'{"command": "status"}') == StatusRequest((StatusPart.PHONES,), 0)
    assert encode_answer(Status("9")) == b'{"ok": true, "version": "9", "phones": []}\n'


def test_answer_of_a_newer_daemon_what_is_not_known_is_ignored() -> None:
    answer = decode_answer(b'{"ok": true, "version": "9", "phones": [], "clients": []}', StatusRequest())
    assert answer == Status("9", ())


@given(
    st.binary(max_size=100) | st.dictionaries(keys, values, max_size=4).map(lambda found: json.dumps(found).encode())
)
def test_any_line_is_read_or_refused_in_one_printable_line(line: bytes) -> None:
    for read in (
        decode_request,
        lambda line: decode_answer(line, StatusRequest(tuple(StatusPart))),
        lambda line: decode_answer(line, CaptureRequest()),
        lambda line: decode_answer(line, KickRequest(1)),
    ):
        try:
            read(line)
        except RemoteProtocolError as error:
            assert str(error).isprintable()  # noqa: PT017 - that it is raised is not promised


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('{"command": "status", "udid": null}', '"udid": unknown key; expected command, parts, after'),
        ('{"command": "status", "parts": "phones"}', 'parts: expected list, found "phones"'),
        ('{"command": "status", "parts": ["phones", 5]}', "parts: expected phones or clients or connections, found 5"),
        ('{"command": "status", "parts": [[]]}', "parts: expected phones or clients or connections, found a list"),
        ('{"command": "status", "parts": ["phones", "phones"]}', "parts: one comes twice"),
        ('{"command": "status", "after": 1.5}', "after: expected int, found 1.5"),
        ('{"command": "capture", "\\u0007": 1}', '"\\u0007": unknown key; expected command, udid, format'),
        ('{"command": "capture", "udid": ""}', "udid: expected 1 to 64 printable ASCII characters"),
        ('{"command": "capture", "udid": "a\\nb"}', "udid: expected 1 to 64 printable ASCII characters"),
        ('{"command": "capture", "udid": "%s"}' % ("a" * 65), "udid: expected 1 to 64 printable ASCII characters"),
        ('{"command": "capture", "udid": true}', "udid: expected str, found true"),
        ('{"command": "kick"}', "client: expected int, found null"),
        ('{"command": "kick", "client": true}', "client: expected int, found true"),
        ('{"command": "kick", "client": 1, "why": 2}', '"why": unknown key; expected command, client'),
        (
            '{"command": {}}',
            "command: expected status, capture, kick, forward-add, forward-list or forward-remove, found an object",
        ),
        (
            '{"command": "%s"}' % ("x" * 99),
            'command: expected status, capture, kick, forward-add, forward-list or forward-remove, found "'
            + "x" * 63
            + " ...",
        ),
    ],
)
def test_request_is_none_the_error_names_the_place(line: str, error: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_request(line.encode())
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("{}", "ok: expected bool, found null"),
        ('{"ok": 1}', "ok: expected bool, found 1"),
        ('{"ok": false}', "error: expected str, found null"),
        ('{"ok": true, "version": "1"}', "phones: expected list, found null"),
        ('{"ok": true, "version": "1", "phones": [5]}', "phones: expected objects, found 5"),
        ('{"ok": true, "version": "1", "phones": [{"state": "lost"}]}', "state: expected opening or attached or"),
        (
            '{"ok": true, "version": "1", "phones": [{"state": "opening", "port_path": "1", "attach_count": 0, '
            '"next_try_s": true}]}',
            "next_try_s: expected a number, found true",
        ),
    ],
)
def test_answer_is_none_the_error_names_the_place(line: str, error: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_answer(line.encode(), StatusRequest())
    assert str(caught.value).startswith(error)


def test_answer_lacks_a_part_that_was_asked_for_the_error_names_it() -> None:
    line = encode_answer(Status("1", parts=(StatusPart.PHONES, StatusPart.CLIENTS)))
    with pytest.raises(RemoteProtocolError, match="connections: expected list, found null"):
        decode_answer(line, StatusRequest(tuple(StatusPart)))


def test_page_is_as_long_as_it_can_be_clients_can_read_it() -> None:
    huge = 2**64 - 1
    client = ClientStatus(
        huge, "unix:" + "\udcff" * 108, ClientActivity.LISTENING, huge + 0.125, huge, huge, huge, "ÿ" * 64
    )
    connection = ConnectionStatus(
        *(huge, '"' * 64, 65535, 65535, ConnectionState.HALF_CLOSED, huge + 0.125, huge, huge, huge, huge),
        *(huge, huge + 0.125, huge, huge + 0.125),
    )
    status = Status(
        version="9.9.9",
        clients=(client,) * CLIENTS_A_PAGE,
        connections=(connection,) * CLIENTS_A_PAGE,
        next_after=huge,
        parts=(StatusPart.CLIENTS, StatusPart.CONNECTIONS),
    )
    assert len(encode_answer(status)) < MAX_ANSWER_LENGTH / 2
