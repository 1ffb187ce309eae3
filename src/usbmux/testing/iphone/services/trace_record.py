"""What com.apple.os_trace_relay sends: replies to requests, and log entries as records."""

import struct
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final

from usbmux.control.property_list import dump
from usbmux.testing.iphone.services.log_entry import LogEntry

MAX_TEXT_LENGTH: Final = 0xFFFE
"""Longest text in a record, in bytes: with its NUL it is counted in 16 bits. What is longer is cut."""
_FIXED: Final = struct.Struct("<BIIIQ16sHQQqIBB6xQII16sHIIHHHHI")
_MARKER: Final = 2
_LOG_MESSAGE: Final = 8
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_TICKS_A_SECOND: Final = 24_000_000


class Kind(IntEnum):
    """The first byte of everything that is sent."""

    REPLY = 1
    RECORD = 2


def encode_reply(properties: Mapping[str, object]) -> bytes:
    """The answer to a request: a kind, a length (4 bytes, big-endian), and the list in binary.

    Some readers expect the first answer to fit in 255 bytes, which XML hardly does.

    Raises:
        LocalProtocolError: A value that a property list cannot hold.
    """
    payload = dump(properties, binary=True)
    return struct.pack(">BI", Kind.REPLY, len(payload)) + payload


def encode(entry: LogEntry) -> bytes:
    """An entry as a record: a kind, a length (4 bytes, little-endian), the fixed part, five texts."""
    process = _text(entry.process_path)
    image = _text(entry.library_path or entry.process_path)
    message = _text(entry.message)
    # Readers take a length of 0 for an entry without a label.
    subsystem = _text(entry.subsystem) if entry.subsystem else b""
    category = _text(entry.category) if entry.category else b""
    elapsed = entry.time.astimezone(UTC) - _EPOCH
    fixed = _FIXED.pack(
        _MARKER,
        _LOG_MESSAGE,
        _FIXED.size,
        entry.pid,
        entry.pid,
        _identifier(process),
        len(process),
        0,  # activity
        0,  # parent activity
        elapsed // timedelta(seconds=1),
        elapsed.microseconds,
        0,
        entry.level.value,
        elapsed // timedelta(microseconds=1) * _TICKS_A_SECOND // 1_000_000 & 0xFFFFFFFFFFFFFFFF,
        entry.pid,  # thread
        0,
        _identifier(image),
        len(image),
        len(message),
        0,  # offset in the image
        len(subsystem),
        0,
        len(category),
        0,
        0,
    )
    length = len(fixed) + len(process) + len(image) + len(message) + len(subsystem) + len(category)
    return b"".join((struct.pack("<BI", Kind.RECORD, length), fixed, process, image, message, subsystem, category))


def _text(text: str) -> bytes:
    return text.encode(errors="replace").replace(b"\0", b"")[:MAX_TEXT_LENGTH] + b"\0"


def _identifier(image: bytes) -> bytes:
    """The UUID of an image: the same for the same path, as for a build that does not change."""
    return uuid.uuid5(uuid.NAMESPACE_URL, image.decode(errors="replace")).bytes
