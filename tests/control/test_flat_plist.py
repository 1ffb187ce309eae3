"""The recogniser of flat property lists takes what the parser takes, and reads it the same."""

import plistlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from usbmux.control import flat_plist

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_TYPE = '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n'
_BODY = """<plist version="1.0">
<dict>
\t<key>MessageType</key>
\t<string>Connect</string>
\t<key>DeviceID</key>
\t<integer>3</integer>
\t<key>PortNumber</key>
\t<integer>5632</integer>
</dict>
</plist>
"""
_CONNECT = {"MessageType": "Connect", "DeviceID": 3, "PortNumber": 5632}

_PLAIN_KEYS = st.text("ABCabc ", min_size=1)
_PLAIN_VALUES = st.text(" !%'-;=?~", max_size=8) | st.integers(0, 10**18 - 1)
_ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8)
_ODD_VALUES = _ANY_TEXT | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=4) | st.booleans()
_TAGS = "<key> </key> <string> </string> <integer> </integer> <dict> </dict> <array> </array> <plist> </plist>"
_MARKS = "<string/> <true/> <![CDATA[ ]]> <!----> &lt; &#65; &amp; 0 00 - + 0x1 1 a é"
_WORDS = [_HEAD, _TYPE, '<plist version="1.0">', "A b", "\n", "\r\n", "\t", " ", "\0"]
_PIECES = st.sampled_from([*_TAGS.split(), *_MARKS.split(), *_WORDS])


def _check_both_agree(payload: bytes) -> None:
    found = flat_plist.load(payload)
    if found is not None:
        parsed = plistlib.loads(payload)
        assert found == parsed
        assert list(map(type, found.values())) == list(map(type, parsed.values()))


@pytest.mark.parametrize(
    "payload",
    [
        _HEAD + _TYPE + _BODY,
        (_HEAD + _TYPE + _BODY).replace("\n", "\r\n"),
        _HEAD + _TYPE.replace("Apple", "Apple Computer") + _BODY,
        _HEAD + _BODY,
        _BODY,
        (_HEAD + _TYPE + _BODY).replace("\n", "").replace("\t", ""),
    ],
)
def test_ordinary_request_loaded_is_recognised(payload: str) -> None:
    assert flat_plist.load(payload.encode()) == _CONNECT
    _check_both_agree(payload.encode())


def test_key_that_comes_twice_loaded_has_its_last_value() -> None:
    payload = b"<plist><dict><key>A</key><integer>1</integer><key>A</key><string>b</string></dict></plist>"

    assert flat_plist.load(payload) == {"A": "b"}
    _check_both_agree(payload)


@pytest.mark.parametrize(
    "value",
    ["<true/>", "<string/>", "<string>&lt;</string>", "<string>é</string>", "<integer>-1</integer>", "<data></data>"],
)
def test_unusual_value_loaded_is_left_to_the_parser(value: str) -> None:
    assert flat_plist.load(f"<plist><dict><key>A</key>{value}</dict></plist>".encode()) is None


def test_what_is_long_loaded_is_left_to_the_parser() -> None:
    payload = plistlib.dumps({"A": "a" * flat_plist.MAX_LENGTH})

    assert flat_plist.load(payload) is None


@given(st.dictionaries(_PLAIN_KEYS, _PLAIN_VALUES, max_size=8), st.booleans())
def test_plain_dictionary_loaded_is_what_was_written(properties: dict[str, str | int], is_sorted: bool) -> None:
    payload = plistlib.dumps(properties, sort_keys=is_sorted)

    found = flat_plist.load(payload)

    assert found == properties or len(payload) > flat_plist.MAX_LENGTH or not properties  # which is <dict/>


@given(st.dictionaries(_ANY_TEXT, _PLAIN_VALUES | _ODD_VALUES))
def test_any_dictionary_loaded_is_the_same_for_both(properties: dict[str, object]) -> None:
    _check_both_agree(plistlib.dumps(properties))


@given(st.data())
def test_changed_request_loaded_is_the_same_for_both(data: st.DataObject) -> None:
    payload = _HEAD + _TYPE + _BODY
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(payload)))
        end = data.draw(st.integers(begin, min(begin + 8, len(payload))))
        payload = payload[:begin] + data.draw(_PIECES) + payload[end:]

    _check_both_agree(payload.encode())


@given(st.lists(_PIECES, max_size=30).map("".join))
@example("<plist><dict></dict></plist>")
@example("<plist><dict><key>A</key><integer>00</integer></dict></plist>")
@example("<plist><dict><key>A</key><string> a </string></dict></plist>")
def test_pieces_loaded_are_the_same_for_both(text: str) -> None:
    _check_both_agree(text.encode())
