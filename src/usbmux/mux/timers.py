"""Deadlines of many connections, without looking at each."""

import heapq
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
        self._planned: dict[int, float] = {}

    @property
    def deadline(self) -> float | None:
        """When `pop_due` will have something to look at, or None."""
        return self._heap[0][0] if self._heap else None

    def plan(self, owner: OwnerT) -> None:
        """Note that the owner's deadline may have changed."""
        deadline = owner.deadline
        if deadline is not None and deadline < self._planned.get(id(owner), float("inf")):
            self._planned[id(owner)] = deadline
            heapq.heappush(self._heap, (deadline, id(owner), owner))

    def pop_due(self, now: float) -> OwnerT | None:
        """Remove and return an owner whose deadline has passed; plan it again after it was handled."""
        while self._heap and self._heap[0][0] <= now:
            when, key, owner = heapq.heappop(self._heap)
            if self._planned.get(key) != when:
                continue  # planned earlier meanwhile, and handled then
            del self._planned[key]
            if owner.deadline is not None and owner.deadline <= now:
                return owner
            self.plan(owner)
        return None
