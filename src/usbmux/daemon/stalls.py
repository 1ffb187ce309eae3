"""How often, and how long, something that should flow did not."""

from collections.abc import Callable
from typing import Final

SHORTEST_S: Final = 0.1
"""Shorter waits are how flow control works; they are neither counted nor summed up."""


class Stalls:
    """The waits of one direction of a stream. The clock is read where a wait begins or ends, and nowhere else.

    Args:
        now: A clock, in seconds.
    """

    __slots__ = ("_count", "_now", "_since", "_total_s")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._since: float | None = None
        self._count = 0
        self._total_s = 0.0

    def begin(self) -> None:
        """Nothing flows from now on. No effect if that is so already."""
        if self._since is None:
            self._since = self._now()

    def end(self) -> None:
        """It flows again, or is over. No effect if it did flow."""
        if self._since is not None:
            waited_s = self._now() - self._since
            if waited_s >= SHORTEST_S:
                self._count += 1
                self._total_s += waited_s
            self._since = None

    def until(self, now: float) -> tuple[int, float]:
        """How often so far and how many seconds in all, the wait included that is not over."""
        if self._since is None or now - self._since < SHORTEST_S:
            return self._count, self._total_s
        return self._count + 1, self._total_s + now - self._since
