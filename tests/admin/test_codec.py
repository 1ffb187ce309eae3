"""Requests and answers there and back, and everything that is neither."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.admin.codec import decode_answer, decode_request, encode_answer, encode_request
from usbmux.admin.message import (
    Answer,
    CaptureBegun,
    CaptureFormat,
    CaptureRequest,
    PhoneState,
    PhoneStatus,
    Refused,
    Request,
    Status,
    StatusRequest,
)
from usbmux.errors import RemoteProtocolError

numbers = st.integers(0, 2**63)
udids = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64)
requests = st.just(StatusRequest()) | st.builds(
    CaptureRequest, udid=st.none() | udids, format=st.sampled_from(CaptureFormat)
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
)
answers = (
    st.builds(Status, version=st.text(), phones=st.lists(phones, max_size=3).map(tuple))
    | st.just(CaptureBegun())
    | st.builds(Refused, error=st.text())
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
keys = st.sampled_from(["command", "udid", "format", "ok", "error", "version", "phones", "other"])
values = documents | st.sampled_from(["status", "capture", "pcapng", True, False, [{}], [{"state": "attached"}]])


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
    request = StatusRequest() if isinstance(answer, Status) else CaptureRequest()
    assert decode_answer(line[:-1], request) == answer


def test_capture_without_its_options_is_of_all_phones_as_pcapng() -> None:
    assert decode_request(b'{"command": "capture"}') == CaptureRequest(None, CaptureFormat.PCAPNG)


def test_answer_of_a_newer_daemon_what_is_not_known_is_ignored() -> None:
    answer = decode_answer(b'{"ok": true, "version": "9", "phones": [], "clients": []}', StatusRequest())
    assert answer == Status("9", ())


@given(
    st.binary(max_size=100) | st.dictionaries(keys, values, max_size=4).map(lambda found: json.dumps(found).encode())
)
def test_any_line_is_read_or_refused_in_one_printable_line(line: bytes) -> None:
    for read in (
        decode_request,
        lambda line: decode_answer(line, StatusRequest()),
        lambda line: decode_answer(line, CaptureRequest()),
    ):
        try:
            read(line)
        except RemoteProtocolError as error:
            assert str(error).isprintable()  # noqa: PT017


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('{"command": "status", "udid": null}', '"udid": unknown key; expected command'),
        ('{"command": "capture", "\\u0007": 1}', '"\\u0007": unknown key; expected command, udid, format'),
        ('{"command": "capture", "udid": ""}', "udid: expected 1 to 64 printable ASCII characters"),
        ('{"command": "capture", "udid": "a\\nb"}', "udid: expected 1 to 64 printable ASCII characters"),
        ('{"command": "capture", "udid": "%s"}' % ("a" * 65), "udid: expected 1 to 64 printable ASCII characters"),
        ('{"command": "capture", "udid": true}', "udid: expected str, found true"),
        ('{"command": {}}', "command: expected status or capture, found an object"),
        ('{"command": "%s"}' % ("x" * 99), 'command: expected status or capture, found "' + "x" * 63 + " ..."),
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
            '{"ok": true, "version": "1", "phones": [{"state": "opening", "next_try_s": true}]}',
            "next_try_s: expected a number or null, found true",
        ),
    ],
)
def test_answer_is_none_the_error_names_the_place(line: str, error: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_answer(line.encode(), StatusRequest())
    assert str(caught.value).startswith(error)
