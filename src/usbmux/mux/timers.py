"""Deadlines of many connections, without looking at each."""

import heapq
from itertools import count
from typing import Final, Generic, Protocol, TypeVar

_FEW: Final = 64
"""So many entries that count no more are not worth a look at all of them."""


class HasDeadline(Protocol):
    """Something that wants to be woken."""

    planned: list[tuple[float, int]]
    """When it will be looked at, earliest last; kept by `Timers`. A deadline not before the last needs no planning."""

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

    @property
    def deadline(self) -> float | None:
        """When `pop_due` will have something to look at, or None."""
        return self._heap[0][0] if self._heap else None

    def plan(self, owner: OwnerT) -> None:
        """Note that the owner's deadline may have changed."""
        deadline = owner.deadline
        if deadline is None:
            return
        planned = owner.planned  # an entry is added only before all others, so they stay few
        if planned and planned[-1][0] <= deadline:
            return
        number = next(self._numbers)
        entry = (deadline, number)
        planned.append(entry)
        self._owners[number] = owner
        heapq.heappush(self._heap, entry)

    def forget(self, owner: OwnerT) -> None:
        """The owner has no deadline, and will have none: nothing of it is kept."""
        for _when, number in owner.planned:
            del self._owners[number]
        owner.planned.clear()
        if len(self._heap) > 2 * len(self._owners) + _FEW:
            self._heap = [entry for entry in self._heap if entry[1] in self._owners]
            heapq.heapify(self._heap)

    def pop_due(self, now: float) -> OwnerT | None:
        """Remove and return an owner whose deadline has passed; plan it again after it was handled.

        Entries in front whose owners want nothing any more go too: nobody has to wake for each of them.
        """
        while self._heap:
            when, number = self._heap[0]
            owner = self._owners.get(number)
            if owner is None:
                heapq.heappop(self._heap)
                continue
            deadline = owner.deadline
            if when > now and deadline is not None:
                break
            heapq.heappop(self._heap)
            del self._owners[number]
            owner.planned.pop()
            if deadline is not None and deadline <= now:
                return owner
            self.plan(owner)
        return None
