"""Records and replies of os_trace_relay, read by a reader written for these tests."""

import plistlib
import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.testing.iphone.services.log_entry import PROCESSES, LogEntry, LogLevel
from usbmux.testing.iphone.services.trace_record import encode, encode_reply

TIME = datetime(2026, 3, 7, 9, 5, 1, 654321, tzinfo=UTC)
LOCKDOWND = LogEntry(
    "ready", LogLevel.ERROR, "/usr/libexec/lockdownd", 58, "/usr/lib/libX.dylib", "com.apple.lockdown", "start", TIME
)


@dataclass(frozen=True)
class Record:
    """What a host reads in a record."""

    body: bytes
    texts: tuple[bytes, ...]

    def number(self, offset: int, length: int) -> int:
        return int.from_bytes(self.body[offset : offset + length], "little")


def read(data: bytes) -> Record:
    assert data[0] == 2
    (length,) = struct.unpack_from("<I", data, 1)
    body = data[5:]
    assert len(body) == length
    sizes = [*struct.unpack_from("<H", body, 37), *struct.unpack_from("<HI", body, 107)]
    sizes += [*struct.unpack_from("<H", body, 117), *struct.unpack_from("<H", body, 121)]
    texts, start = [], 129
    for size in sizes:
        texts.append(body[start : start + size])
        start += size
    assert start == length
    return Record(body, tuple(texts))


def test_entry_every_field_at_its_place() -> None:
    record = read(encode(LOCKDOWND))
    assert record.body[0] == 2
    assert record.number(1, 4) == 8
    assert record.number(5, 4) == 129
    assert record.number(9, 4) == record.number(13, 8) == 58
    assert record.number(39, 8) == record.number(47, 8) == 0
    assert record.number(55, 8) == int(TIME.timestamp())
    assert record.number(63, 4) == 654321
    assert record.body[68] == 0x10
    assert record.number(75, 8) == (int(TIME.timestamp()) * 1_000_000 + 654321) * 24
    assert record.body[125:129] == bytes(4)
    assert record.texts == (
        b"/usr/libexec/lockdownd\0",
        b"/usr/lib/libX.dylib\0",
        b"ready\0",
        b"com.apple.lockdown\0",
        b"start\0",
    )


def test_entry_without_label_and_library_image_is_the_process() -> None:
    springboard = PROCESSES[61].encode() + b"\0"
    assert read(encode(LogEntry("x"))).texts == (springboard, springboard, b"x\0", b"", b"")


def test_images_of_one_path_same_identifier() -> None:
    own, other = read(encode(LogEntry("x"))), read(encode(LOCKDOWND))
    assert own.body[21:37] == own.body[91:107]
    assert len({own.body[21:37], other.body[21:37], other.body[91:107]}) == 3
    assert uuid.UUID(bytes=own.body[21:37]).version == 5


@pytest.mark.parametrize("level", LogLevel)
def test_level_is_its_number(level: LogLevel) -> None:
    assert read(encode(LogEntry("x", level))).body[68] == level.value


def test_time_of_another_zone_same_instant() -> None:
    there = TIME.astimezone(timezone(timedelta(hours=9)))
    assert read(encode(LogEntry("x", time=there))).number(55, 8) == int(TIME.timestamp())


def test_time_before_1970_still_a_record() -> None:
    record = read(encode(LogEntry("x", time=datetime(1969, 12, 31, 23, 59, 59, 250_000, tzinfo=UTC))))
    assert record.body[55:63] == b"\xff" * 8
    assert record.number(63, 4) == 250_000


@pytest.mark.parametrize("field", ["message", "process_path", "library_path", "subsystem", "category"])
def test_long_text_cut_to_what_16_bits_count(field: str) -> None:
    texts = {"message": "x", field: "y" * 70_000}
    record = read(encode(LogEntry(**texts)))  # type: ignore[arg-type]  # every field named here is a text
    assert b"y" * 0xFFFE + b"\0" in record.texts


@given(st.text(), st.text(), st.text(), st.integers(0, 0xFFFFFFFF))
def test_any_texts_each_ends_in_its_only_nul(message: str, subsystem: str, path: str, pid: int) -> None:
    record = read(encode(LogEntry(message, process_path=path, subsystem=subsystem, pid=pid)))
    assert all(text.index(0) == len(text) - 1 for text in record.texts if text)
    assert all(record.texts[:3])
    assert record.number(9, 4) == pid


def test_reply_kind_length_and_binary_list() -> None:
    reply = encode_reply({"Status": "RequestSuccessful"})
    assert reply[0] == 1
    assert int.from_bytes(reply[1:5], "big") == len(reply) - 5 < 256
    assert reply[5:13] == b"bplist00"
    assert plistlib.loads(reply[5:]) == {"Status": "RequestSuccessful"}
