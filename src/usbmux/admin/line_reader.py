"""A byte stream cut into lines of a bounded length."""

from typing import Final

from usbmux.errors import RemoteProtocolError

MAX_REQUEST_LENGTH: Final = 1 << 16
"""Longest request that a daemon takes, in bytes, without the line's end."""
MAX_ANSWER_LENGTH: Final = 1 << 20
"""Longest answer that our clients take."""


class LineReader:
    """Cuts at every newline.

    Args:
        max_length: Longest line taken, in bytes, without its end.
    """

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length
        self._buffer = bytearray()

    def receive_data(self, data: bytes | memoryview) -> None:
        """Buffer bytes of the stream."""
        self._buffer += data

    def next_line(self) -> bytes | None:
        """Remove and return the next line without its end, or None while it is incomplete.

        Raises:
            RemoteProtocolError: It is too long; the same again on every later call.
        """
        end = self._buffer.find(b"\n", 0, self._max_length + 1)
        if end < 0:
            if len(self._buffer) > self._max_length:
                raise RemoteProtocolError(f"a line of more than {self._max_length} bytes", bytes(self._buffer[:64]))
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def take_rest(self) -> bytes:
        """Remove and return everything behind the last line."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest
