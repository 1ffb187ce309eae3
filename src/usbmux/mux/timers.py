"""Deadlines of many connections, without looking at each."""

import heapq
from itertools import count
from typing import Generic, Protocol, TypeVar


class HasDeadline(Protocol):
    """Something that wants to be woken."""

    @property
    def deadline(self) -> float | None:
        """When, or None for never."""


OwnerT = TypeVar("OwnerT", bound=HasDeadline)


class Timers(Generic[OwnerT]):
    """A heap of deadlines. An entry may be early, never late: it is checked when it comes up."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, OwnerT]] = []
        self._order = count()  # of equal deadlines, which come up in the order of planning
        self._planned: dict[int, list[float]] = {}
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
        planned = self._planned.setdefault(id(owner), [])
        if not planned or deadline < planned[-1]:
            planned.append(deadline)
            heapq.heappush(self._heap, (deadline, next(self._order), owner))

    def pop_due(self, now: float) -> OwnerT | None:
        """Remove and return an owner whose deadline has passed; plan it again after it was handled.

        Entries in front whose owners want nothing any more go too: nobody has to wake for each of them.
        """
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].deadline is None):
            _when, _order, owner = heapq.heappop(self._heap)
            planned = self._planned[id(owner)]
            planned.pop()
            if not planned:
                del self._planned[id(owner)]
            if owner.deadline is not None and owner.deadline <= now:
                return owner
            self.plan(owner)
        return None
