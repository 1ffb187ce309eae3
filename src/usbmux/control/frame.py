"""The 16-byte header around every message, and the cutting of a byte stream into frames.

Rules C4 to C8 of docs/protocol/control.md.
"""

import struct
from enum import IntEnum
from typing import Final, NamedTuple

from usbmux.errors import RemoteProtocolError

_HEADER: Final = struct.Struct("<IIII")
HEADER_LENGTH: Final = _HEADER.size
MAX_FRAME_LENGTH: Final = 65536
"""Longest request that a daemon takes, header included (C6)."""
MAX_REPLY_LENGTH: Final = 1 << 20
"""Longest reply or notification that our clients take, header included (C6)."""


class MessageType(IntEnum):
    """The header's third field."""

    RESULT = 1
    CONNECT = 2
    LISTEN = 3
    ATTACHED = 4
    DETACHED = 5
    PAIRED = 6
    PLIST = 8


class Frame(NamedTuple):  # one is made for every message; to make a frozen dataclass takes three times as long
    """One message as it travels, its payload not yet read."""

    version: int
    """0 for binary, 1 for plist, or whatever the peer put there."""
    message_type: int
    """A `MessageType`, or whatever number the peer put there."""
    tag: int
    """Chosen by the client, echoed in the reply; 0 in notifications."""
    payload: bytes

    def encode(self) -> bytes:
        """Header and payload in one piece."""
        return _HEADER.pack(HEADER_LENGTH + len(self.payload), self.version, self.message_type, self.tag) + self.payload


class FrameReader:
    """Cuts a byte stream into frames by their length field.

    Args:
        max_length: Longest frame taken, header included, in bytes.
    """

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length
        self._buffer = bytearray()
        self._error: RemoteProtocolError | None = None

    @property
    def bytes_needed(self) -> int:
        """Number of bytes still missing from the next frame, or from its header while that is incomplete.

        0 when `next_frame` has a frame or an error to give.
        """
        length = self._frame_length()
        return max(length - len(self._buffer), 0) if self._is_length_possible(length) else 0

    @property
    def is_amid_frame(self) -> bool:
        """Whether a frame has begun and is not complete, or not taken."""
        return bool(self._buffer)

    def receive_data(self, data: bytes | memoryview) -> None:
        """Buffer bytes of the stream. What follows an impossible length is dropped."""
        if self._error is None:
            self._buffer += data

    def next_frame(self) -> Frame | None:
        """Remove and return the next frame, or None while it is incomplete.

        Raises:
            RemoteProtocolError: A length that no frame can have; the same again on every later call.
        """
        if self._error is not None:
            raise self._error
        buffer = self._buffer
        if len(buffer) < HEADER_LENGTH:
            return None
        length, version, message_type, tag = _HEADER.unpack_from(buffer)
        if not self._is_length_possible(length):
            head = bytes(buffer[: 2 * HEADER_LENGTH])
            buffer.clear()
            self._error = RemoteProtocolError(f"frame with impossible length {length}", head)
            raise self._error
        if len(buffer) < length:
            return None
        payload = bytes(buffer[HEADER_LENGTH:length])
        del buffer[:length]
        return Frame(version, message_type, tag, payload)

    def take_rest(self) -> bytes:
        """Remove and return everything behind the last frame."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _frame_length(self) -> int:
        """What the length field says, or the length of a header while that is incomplete; 0 once broken."""
        if self._error is not None:
            return 0
        if len(self._buffer) < HEADER_LENGTH:
            return HEADER_LENGTH
        length, _version, _message_type, _tag = _HEADER.unpack_from(self._buffer)
        return int(length)

    def _is_length_possible(self, length: int) -> bool:
        return HEADER_LENGTH <= length <= self._max_length
