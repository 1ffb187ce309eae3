"""Lines of the log, and the escapes in them."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.testing.iphone.services.log_entry import LogEntry, LogLevel
from usbmux.testing.iphone.services.syslog_line import MAX_TEXT_LENGTH, encode, escape

TIME = datetime(2026, 3, 7, 9, 5, 1, 654321, tzinfo=UTC)


def unescape(text: bytes) -> bytes:
    """vis(3) backwards, written anew."""
    pieces = rb"\\M-(?P<meta>.)|\\M\^(?P<meta_control>.)|\\\^(?P<control>.)|\\(?P<octal>[0-7]{3})"

    def replace(match: re.Match[bytes]) -> bytes:
        if match["octal"]:
            return bytes([int(match["octal"], 8)])
        if match["meta"]:
            return bytes([match["meta"][0] | 0x80])
        if match["control"]:
            return bytes([match["control"][0] ^ 0x40])
        return bytes([match["meta_control"][0] ^ 0x40 | 0x80])

    return re.sub(pieces, replace, text)


def test_entry_golden_line() -> None:
    entry = LogEntry(
        "ready", LogLevel.ERROR, "/usr/libexec/lockdownd", 58, "/usr/lib/libMobileGestalt.dylib", time=TIME
    )
    assert encode(entry, "Phone") == (b"Mar  7 09:05:01 Phone lockdownd(libMobileGestalt.dylib)[58] <Error>: ready\n\0")


def test_entry_without_library_no_parentheses() -> None:
    assert encode(LogEntry("x", process_path="kernel", pid=0, time=TIME), "Phone").startswith(
        b"Mar  7 09:05:01 Phone kernel[0] <Notice>: x"
    )


@pytest.mark.parametrize(
    ("level", "word"),
    [
        (LogLevel.NOTICE, b"<Notice>:"),
        (LogLevel.INFO, b"<Info>:"),
        (LogLevel.DEBUG, b"<Debug>:"),
        (LogLevel.ERROR, b"<Error>:"),
        (LogLevel.FAULT, b"<Fault>:"),
    ],
)
def test_level_is_named(level: LogLevel, word: bytes) -> None:
    assert word in encode(LogEntry("x", level), "Phone")


@pytest.mark.parametrize("month", range(1, 13))
def test_every_month_columns_stay(month: int) -> None:
    line = encode(LogEntry("x", time=TIME.replace(month=month, day=28)), "Phone")
    assert [index for index, byte in enumerate(line[:17]) if byte == 0x20] == [3, 6, 15]


@pytest.mark.parametrize(
    ("name", "word"), [("Ann's iPhone", b"Ann's-iPhone"), ("", b"iPhone"), (" \n", b"iPhone"), ("é", rb"\M-C\M-)")]
)
def test_name_of_the_phone_is_one_word(name: str, word: bytes) -> None:
    assert encode(LogEntry("x"), name).split(b" SpringBoard")[0].split()[3] == word


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain text, (all) of it: ~", rb"plain text, (all) of it: ~"),
        ("a\\b", rb"a\134b"),
        ("a\tb\nc", b"a\tb\nc"),
        ("\u00e9\t\n", b"\\M-C\\M-)\t\n"),
        ("a\0b", rb"a\^@b"),
        ("\x1b[0m\x7f", rb"\^[[0m\^?"),
        ("\u00e4", rb"\M-C\M-$"),
        ("\u00c0", rb"\M-C\M^@"),
        ("\u00e0", rb"\M-C\240"),
        ("\u96fb", rb"\M-i\M^[\M-;"),
    ],
)
def test_text_outside_ascii_escaped(text: str, escaped: bytes) -> None:
    assert escape(text.encode()) == escaped


@given(st.binary())
def test_any_bytes_escaped_are_ascii_and_come_back(data: bytes) -> None:
    escaped = escape(data)
    assert all(byte in b"\t\n" or 0x20 <= byte < 0x7F for byte in escaped)
    assert unescape(escaped) == data


@given(st.text())
def test_any_message_one_record(message: str) -> None:
    line = encode(LogEntry(message), "Phone")
    assert line.index(0) == len(line) - 1


def test_long_message_cut() -> None:
    line = encode(LogEntry("x" * 100_000), "Phone")
    assert line.count(b"x") == MAX_TEXT_LENGTH


def test_message_that_is_no_unicode_replaced() -> None:
    assert encode(LogEntry("\ud800"), "Phone").endswith(b": ?\n\0")
