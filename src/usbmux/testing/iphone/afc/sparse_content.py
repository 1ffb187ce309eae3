"""What is in a file in memory."""

import errno
from typing import Final

BLOCK_LENGTH: Final = 1 << 16
"""Up to this many bytes lie together; what was never written costs nothing."""
PAGE_LENGTH: Final = 4096
"""Every beginning of so many bytes of a block costs as many."""


class Capacity:
    """How much memory a tree may take.

    Args:
        total: In bytes.
    """

    def __init__(self, total: int) -> None:
        self.total: Final = total
        self._used = 0

    @property
    def free(self) -> int:
        """In bytes."""
        return self.total - self._used

    def take(self, length: int) -> None:
        """Use `length` bytes more.

        Raises:
            OSError: With ``ENOSPC``; nothing is taken then.
        """
        if length > self.free:
            raise OSError(errno.ENOSPC, "the tree is full")
        self._used += length

    def give_back(self, length: int) -> None:
        """Use `length` bytes less."""
        self._used -= length


class SparseContent:
    """The bytes of one file, with holes.

    Args:
        capacity: Pays for what is written.
    """

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._blocks: dict[int, bytearray] = {}
        self._size = 0
        self._allocated = 0

    @property
    def size(self) -> int:
        """In bytes, holes included."""
        return self._size

    @property
    def allocated(self) -> int:
        """What it costs, in bytes."""
        return self._allocated

    def read_at(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset` on; fewer only at the end."""
        end = min(offset + length, self._size)
        pieces: list[bytes] = []
        while offset < end:
            index, start = divmod(offset, BLOCK_LENGTH)
            stop = min(BLOCK_LENGTH, start + end - offset)
            block = self._blocks.get(index, bytearray())
            pieces.append(bytes(block[start:stop]).ljust(stop - start, b"\0"))
            offset += stop - start
        return b"".join(pieces)

    def write_at(self, offset: int, data: bytes) -> None:
        """Write all of `data`, or as much as there is room for.

        Raises:
            OSError: With ``ENOSPC``.
        """
        with memoryview(data) as view:
            written = 0
            while written < len(view):
                index, start = divmod(offset + written, BLOCK_LENGTH)
                piece = view[written : written + BLOCK_LENGTH - start]
                self._write_block(index, start, piece)
                written += len(piece)
                self._size = max(self._size, offset + written)

    def resize(self, size: int) -> None:
        """Cut, or lengthen by a hole."""
        index, length = divmod(size, BLOCK_LENGTH)
        for beyond in [index_there for index_there in self._blocks if index_there > index]:
            self._give_back(_cost(len(self._blocks.pop(beyond))))
        if (block := self._blocks.get(index)) is not None and len(block) > length:
            self._give_back(_cost(len(block)) - _cost(length))
            del block[length:]
        self._size = size

    def _write_block(self, index: int, start: int, data: memoryview) -> None:
        block = self._blocks.get(index, bytearray())
        end = start + len(data)
        if end > len(block):
            growth = _cost(end) - _cost(len(block))
            self._capacity.take(growth)
            self._allocated += growth
            block += bytes(max(start - len(block), 0))
        block[start:end] = data
        self._blocks[index] = block

    def _give_back(self, length: int) -> None:
        self._capacity.give_back(length)
        self._allocated -= length


def _cost(length: int) -> int:
    return -(-length // PAGE_LENGTH) * PAGE_LENGTH
