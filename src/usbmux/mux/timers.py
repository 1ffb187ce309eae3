"""Deadlines of many connections, without looking at each."""

import heapq
from itertools import count
from typing import Final, Generic, Protocol, TypeVar

_FEW: Final = 64
"""So many entries that count no more are not worth a look at all of them."""


class HasDeadline(Protocol):
    """Something that wants to be woken; hashable, and equal to itself only."""

    @property
    def deadline(self) -> float | None:
        """When, or None for never."""


OwnerT = TypeVar("OwnerT", bound=HasDeadline)


class Timers(Generic[OwnerT]):
    """A heap of deadlines. An entry may be early, never late: it is checked when it comes up."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        """When, and the number of the entry: what is equal comes up in the order of planning."""
        self._numbers = count()
        self._owners: dict[int, OwnerT] = {}
        """By number; other entries of the heap count no more."""
        self._entries: dict[OwnerT, list[tuple[float, int]]] = {}
        """The entries of each owner, earliest last. One is added only before all others, so they stay few."""

    @property
    def deadline(self) -> float | None:
        """When `pop_due` will have something to look at, or None."""
        return self._heap[0][0] if self._heap else None

    def plan(self, owner: OwnerT) -> None:
        """Note that the owner's deadline may have changed."""
        deadline = owner.deadline
        if deadline is None:
            return
        entries = self._entries.get(owner)
        if entries is None:
            entries = self._entries[owner] = []
        elif entries[-1][0] <= deadline:
            return
        number = next(self._numbers)
        entry = (deadline, number)
        entries.append(entry)
        self._owners[number] = owner
        heapq.heappush(self._heap, entry)

    def forget(self, owner: OwnerT) -> None:
        """The owner has no deadline, and will have none: nothing of it is kept."""
        for _when, number in self._entries.pop(owner, ()):
            del self._owners[number]
        if len(self._heap) > 2 * len(self._owners) + _FEW:
            self._heap = [entry for entry in self._heap if entry[1] in self._owners]
            heapq.heapify(self._heap)

    def pop_due(self, now: float) -> OwnerT | None:
        """Remove and return an owner whose deadline has passed; plan it again after it was handled."""
        # What comes up next and needs nobody any more is removed too, so that nobody wakes for it.
        while self._heap and (self._heap[0][0] <= now or self._is_void(self._heap[0][1])):
            _when, number = heapq.heappop(self._heap)
            owner = self._owners.pop(number, None)
            if owner is None:
                continue
            entries = self._entries[owner]
            entries.pop()
            if not entries:
                del self._entries[owner]
            if owner.deadline is not None and owner.deadline <= now:
                return owner
            self.plan(owner)
        return None

    def _is_void(self, number: int) -> bool:
        owner = self._owners.get(number)
        return owner is None or owner.deadline is None
