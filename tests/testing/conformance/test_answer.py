from __future__ import annotations

import plistlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.control.frame import Frame
from usbmux.testing.conformance.answer import Ending, describe, is_notification, properties_of

TAG = 7
SCALARS = st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.text(max_size=5) | st.binary(max_size=5)
VALUES: st.SearchStrategy[object] = SCALARS | st.lists(SCALARS, max_size=2) | st.just({})


def framed(properties: dict[str, object], *, is_binary: bool = False) -> Frame:
    form = plistlib.FMT_BINARY if is_binary else plistlib.FMT_XML
    return Frame(1, 8, TAG, plistlib.dumps(properties, fmt=form))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Ending.CLOSED, "closed"),
        (Ending.SILENT, "no answer"),
        (framed({"MessageType": "Result", "Number": 3}), "Result 3"),
        (framed({"MessageType": "Result", "Number": 3}, is_binary=True), "Result 3 in a binary property list"),
        (framed({"MessageType": "Result"}), "Result"),
        (framed({"MessageType": "Att\nached"}), "Att?ached"),
        (framed({"DeviceList": []}), "DeviceList"),
        (framed({"DeviceList": "none"}), "a dictionary of DeviceList"),
        (framed({"BUID": "a"}), "BUID"),
        (framed({"PairRecordData": b"a"}), "PairRecordData"),
        (framed({}), "a dictionary of nothing"),
        (Frame(1, 8, TAG, b"nothing"), "not a property list"),
        (Frame(0, 1, TAG, b"\6\0\0\0"), "binary Result 6"),
        (Frame(0, 1, TAG, b"\6\0"), "version 0 message 1 with 2 bytes"),
        (Frame(1, 1, TAG, b"\6\0\0\0"), "version 1 message 1 with 4 bytes"),
        (Frame(0, 4, TAG, b""), "binary Attached"),
        (Frame(0, 1, 8, b"\0\0\0\0"), "binary Result 0 under tag 0x8 instead of 0x7"),
    ],
)
def test_describe_answer_gives_its_words(answer: Frame | Ending, words: str) -> None:
    assert describe(answer, TAG) == words


@given(st.integers(0, 2), st.integers(0, 9), st.integers(0, 0xFFFFFFFF), st.binary(max_size=40))
def test_describe_any_frame_is_one_printable_line(version: int, message_type: int, tag: int, payload: bytes) -> None:
    frame = Frame(version, message_type, tag, payload)
    assert describe(frame, TAG).isprintable()
    assert isinstance(is_notification(frame), bool)


@given(st.dictionaries(st.sampled_from(["MessageType", "Number", "DeviceList", "BUID", "x"]), VALUES, max_size=4))
def test_describe_any_dictionary_is_one_printable_line(properties: dict[str, object]) -> None:
    frame = Frame(1, 8, TAG, _binary(properties))
    assert describe(frame, TAG).isprintable()


def test_describe_number_of_a_thousand_digits_is_no_result() -> None:
    huge = b"bplist00" + b"\x5bMessageType" + b"\x56Result" + b"\x56Number" + b"\x1b" + b"\x7f" * 2048
    offsets = [8, 20, 27, 34]
    top = len(huge)
    huge += b"\xd2\x00\x02\x01\x03"
    table = len(huge)
    huge += b"".join(each.to_bytes(2, "big") for each in [*offsets, top])
    huge += bytes(6) + bytes([2, 1]) + (5).to_bytes(8, "big") + (4).to_bytes(8, "big") + table.to_bytes(8, "big")
    frame = Frame(1, 8, TAG, huge)
    assert isinstance(properties_of(frame)["Number"], int)
    assert describe(frame, TAG) == "Result in a binary property list"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (framed({"MessageType": "Attached"}), True),
        (framed({"MessageType": "Paired"}), True),
        (Frame(0, 5, 0, b""), True),
        (framed({"MessageType": "Result", "Number": 0}), False),
        (Ending.CLOSED, False),
    ],
)
def test_is_notification_knows_the_three(answer: Frame | Ending, expected: bool) -> None:
    assert is_notification(answer) is expected


def test_properties_of_what_has_none_is_empty() -> None:
    assert properties_of(Ending.SILENT) == {}
    assert properties_of(Frame(0, 1, 0, bytes(4))) == {}
    assert properties_of(Frame(1, 8, 0, b"nothing")) == {}


def _binary(properties: dict[str, object]) -> bytes:
    try:
        return plistlib.dumps(properties, fmt=plistlib.FMT_BINARY)
    except (OverflowError, TypeError):  # what no property list can hold
        return b""
