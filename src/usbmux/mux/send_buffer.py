"""Bytes that wait for the phone's window."""

from collections import deque

from usbmux.mux.packet_buffer import PacketBuffer


class SendBuffer:
    """A byte queue that hands out what was put in, in order, without copying whole chunks."""

    __slots__ = ("_chunks", "length")

    def __init__(self) -> None:
        self._chunks: deque[bytes | memoryview | PacketBuffer] = deque()
        self.length = 0
        """Number of bytes that wait."""

    def append(self, data: bytes | PacketBuffer) -> None:
        """Put `data` at the end."""
        self._chunks.append(data)
        self.length += len(data)

    def take(self, count: int) -> bytes | memoryview | PacketBuffer:
        """Remove and return the first `count` bytes; there must be as many. A buffer if it holds just these."""
        self.length -= count
        first = self._chunks.popleft()
        if len(first) == count:
            return first
        view = _view(first)
        if len(view) > count:
            self._chunks.appendleft(view[count:])
            return view[:count]
        return b"".join([view, *self._take_views(count - len(view))])

    def clear(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self.length = 0

    def _take_views(self, count: int) -> list[memoryview]:
        taken: list[memoryview] = []
        while count:
            view = _view(self._chunks.popleft())
            if len(view) > count:
                self._chunks.appendleft(view[count:])
                view = view[:count]
            taken.append(view)
            count -= len(view)
        return taken


def _view(chunk: bytes | memoryview | PacketBuffer) -> memoryview:
    return chunk.data if isinstance(chunk, PacketBuffer) else memoryview(chunk)
