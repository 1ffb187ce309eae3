"""Bytes that wait for the phone's window."""

from collections import deque


class SendBuffer:
    """A byte queue that hands out what was put in, in order, without copying whole chunks."""

    __slots__ = ("_chunks", "_length")

    def __init__(self) -> None:
        self._chunks: deque[bytes | memoryview] = deque()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, data: bytes) -> None:
        """Put `data` at the end."""
        self._chunks.append(data)
        self._length += len(data)

    def take(self, count: int) -> bytes | memoryview:
        """Remove and return the first `count` bytes; there must be as many."""
        self._length -= count
        first = self._chunks[0]
        if len(first) == count:
            return self._chunks.popleft()
        if len(first) > count:
            self._chunks[0] = memoryview(first)[count:]
            return memoryview(first)[:count]
        return b"".join(self._take_chunks(count))

    def clear(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self._length = 0

    def _take_chunks(self, count: int) -> list[bytes | memoryview]:
        taken: list[bytes | memoryview] = []
        while count:
            chunk = self._chunks.popleft()
            if len(chunk) > count:
                self._chunks.appendleft(memoryview(chunk)[count:])
                chunk = memoryview(chunk)[:count]
            taken.append(chunk)
            count -= len(chunk)
        return taken
