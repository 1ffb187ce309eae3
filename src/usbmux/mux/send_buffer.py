"""Bytes that wait for the phone's window."""

from collections import deque


class SendBuffer:
    """A byte queue that hands out what was put in, in order, without copying whole chunks."""

    __slots__ = ("_chunks", "length")

    def __init__(self) -> None:
        self._chunks: deque[bytes | memoryview] = deque()
        self.length = 0
        """Number of bytes that wait."""

    def append(self, data: bytes) -> None:
        """Put `data` at the end."""
        self._chunks.append(data)
        self.length += len(data)

    def take(self, count: int) -> bytes | memoryview:
        """Remove and return the first `count` bytes; there must be as many."""
        self.length -= count
        first = self._chunks.popleft()
        if len(first) == count:
            return first
        if len(first) > count:
            view = memoryview(first)
            self._chunks.appendleft(view[count:])
            return view[:count]
        return b"".join([first, *self._take_chunks(count - len(first))])

    def clear(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self.length = 0

    def _take_chunks(self, count: int) -> list[bytes | memoryview]:
        taken: list[bytes | memoryview] = []
        while count:
            chunk = self._chunks.popleft()
            if len(chunk) > count:
                view = memoryview(chunk)
                self._chunks.appendleft(view[count:])
                chunk = view[:count]
            taken.append(chunk)
            count -= len(chunk)
        return taken
