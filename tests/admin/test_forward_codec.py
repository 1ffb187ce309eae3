from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.admin.codec import decode_answer, decode_request, encode_answer, encode_request
from usbmux.admin.forward import (
    ForwardAddRequest,
    ForwardListRequest,
    ForwardRemoveRequest,
    ForwardRequest,
    Forwards,
    ForwardStatus,
    KeptForward,
)
from usbmux.admin.message import Refused
from usbmux.errors import RemoteProtocolError

_forwards = st.builds(
    KeptForward,
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=256),
    st.integers(1, 65535),
    st.none() | st.text("0123456789ABCDEF-", min_size=1, max_size=64),
)
_requests: st.SearchStrategy[ForwardRequest] = (
    st.builds(ForwardAddRequest, st.lists(_forwards, min_size=1, max_size=5).map(tuple))
    | st.just(ForwardListRequest())
    | st.builds(ForwardRemoveRequest, st.lists(st.text(), max_size=5).map(tuple))
)
_status = ForwardStatus(
    "127.0.0.1:2222", 22, "A", is_listening=False, is_attached=True, phones=1, connections=3, error="taken"
)


@given(_requests)
def test_request_is_read_as_it_was_written(request: ForwardRequest) -> None:
    line = encode_request(request)
    assert line.count(b"\n") == 1
    assert decode_request(line) == request


def test_answer_is_read_as_it_was_written() -> None:
    answer = Forwards((_status,))
    for request in (ForwardAddRequest(()), ForwardListRequest(), ForwardRemoveRequest(())):
        assert decode_answer(encode_answer(answer), request) == answer
        assert decode_answer(encode_answer(Refused("no")), request) == Refused("no")


_GOOD = {"listen": "127.0.0.1:0", "port": 22}


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"command": "forward-add"}, "forwards: expected list, found null"),
        ({"command": "forward-add", "forwards": []}, "forwards: expected 1 to 256"),
        ({"command": "forward-add", "forwards": [_GOOD] * 257}, "forwards: expected 1 to 256"),
        ({"command": "forward-add", "forwards": [{**_GOOD, "port": 0}]}, "port: expected 1 to 65535, found 0"),
        ({"command": "forward-add", "forwards": [{**_GOOD, "port": 65536}]}, "port: expected 1 to 65535, found 65536"),
        ({"command": "forward-add", "forwards": [{**_GOOD, "listen": ""}]}, "listen: expected 1 to 256 printable"),
        ({"command": "forward-add", "forwards": [{**_GOOD, "listen": "a\nb"}]}, "listen: expected 1 to 256 printable"),
        ({"command": "forward-add", "forwards": [{**_GOOD, "listen": "x" * 257}]}, "listen: expected 1 to 256"),
        ({"command": "forward-add", "forwards": [{**_GOOD, "udid": "\u00e4"}]}, "udid: expected 1 to 64 printable"),
        ({"command": "forward-add", "forwards": [{**_GOOD, "tls": True}]}, '"tls": unknown key'),
        ({"command": "forward-list", "all": True}, '"all": unknown key'),
        ({"command": "forward-remove"}, "listen: expected list, found null"),
        ({"command": "forward-remove", "listen": [1]}, "listen: expected strings, found 1"),
    ],
)
def test_request_is_none_the_error_names_the_place(request_: dict[str, object], error: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_request(json.dumps(request_).encode())
    assert str(caught.value).startswith(error)
