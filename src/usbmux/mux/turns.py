"""Whose turn it is to send: fair by bytes, and at once for those that send little.

Fair queueing on a clock that counts bytes. Each packet begins when the one before it of the same stream is over, or
now if that is past, and is over as many bytes later as it is long; what will be over first goes first. The clock
stands at the beginning of the packet that went last. So streams that send without end take turns of the same number
of bytes, and a short packet of one that has been silent is over before any long packet that waits.
"""

import heapq
from itertools import count
from typing import Generic, TypeVar

OwnerT = TypeVar("OwnerT")


class Turns(Generic[OwnerT]):
    """The line of those that want to send. Operations cost the logarithm of its length."""

    def __init__(self) -> None:
        self._clock = 0
        self._free_at: dict[OwnerT, int] = {}
        """When the last packet of each is over."""
        self._line: list[tuple[int, int, int, OwnerT]] = []
        """A heap of: when it will be over, the order of coming, when it begins, whose it is."""
        self._order = count()  # among packets that will be over at the same time
        self.waiting: dict[OwnerT, int] = {}
        """Which place in the order is theirs; other entries of the line count no more."""

    def join(self, owner: OwnerT, count: int) -> None:
        """Get in line for a packet of about `count` bytes. No effect for who stands there already."""
        if owner not in self.waiting:
            place = self.waiting[owner] = next(self._order)
            begin = self._free_at.get(owner, 0)
            if begin < self._clock:  # not `max`, which takes longer
                begin = self._clock
            heapq.heappush(self._line, (begin + count, place, begin, owner))

    def next(self) -> OwnerT | None:
        """Who may send one packet now, taken out of the line; None if nobody waits."""
        while self._line:
            _over, place, begin, owner = heapq.heappop(self._line)
            if self.waiting.get(owner) == place:
                del self.waiting[owner]
                if begin > self._clock:
                    self._clock = begin
                self._free_at[owner] = begin
                return owner
        return None

    def spend(self, owner: OwnerT, count: int) -> None:
        """Note that the one whose turn it is has sent `count` bytes."""
        self._free_at[owner] += count

    def spend_alone(self, owner: OwnerT, count: int) -> None:
        """Note that it has sent `count` bytes while nobody stood in line: as `join`, `next` and `spend`."""
        begin = self._free_at.get(owner, 0)
        if begin < self._clock:
            begin = self._clock
        self._clock = begin
        self._free_at[owner] = begin + count

    def forget(self, owner: OwnerT) -> None:
        """It will send no more."""
        self._free_at.pop(owner, None)
        self.waiting.pop(owner, None)
