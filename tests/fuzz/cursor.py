"""Reads a fuzzer's bytes as numbers and pieces, without its library, so that the corpus runs anywhere."""

from __future__ import annotations

from typing import Final

MAX_PIECES: Final = 64
"""Into how many pieces a stream is cut at most, so that an input takes milliseconds however long it is."""


class Cursor:
    """Hands out the bytes of an input from front to back; zeros when there are none left."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        return self._at >= len(self._data)

    def byte(self) -> int:
        return self.number(1)

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def take(self, count: int) -> bytes:
        """At most `count` bytes."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def rest(self) -> bytes:
        return self.take(len(self._data))


def pieces(stream: bytes, size: int) -> list[bytes]:
    """The stream cut into pieces of `size` bytes, or larger ones if that would be too many."""
    size = max(size, len(stream) // MAX_PIECES, 1)
    return [stream[at : at + size] for at in range(0, len(stream), size)]
