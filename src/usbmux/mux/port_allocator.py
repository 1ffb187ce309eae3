"""Source ports: never 0, never twice at once, not again while the phone may still send to them (T15, T16)."""

from collections import OrderedDict
from typing import Final

LAST_PORT: Final = 0xFFFF


class PortAllocator:
    """Hands out ports in a circle."""

    def __init__(self, quarantine_s: float) -> None:
        self._quarantine_s: Final = quarantine_s
        self._used: set[int] = set()
        self._resting: OrderedDict[int, float] = OrderedDict()
        """Port to end of its quarantine, oldest first."""
        self._last = 0

    def allocate(self, now: float) -> int | None:
        """A port that nobody uses, or None when there is none."""
        self._release_rested(now)
        if len(self._used) + len(self._resting) >= LAST_PORT:
            return None
        while True:
            self._last = self._last % LAST_PORT + 1
            if self._last not in self._used and self._last not in self._resting:
                self._used.add(self._last)
                return self._last

    def release(self, port: int, now: float, *, rest: bool) -> None:
        """Give a port back, at once or after a quarantine."""
        self._used.discard(port)
        if rest:
            self._resting[port] = now + self._quarantine_s

    def is_resting(self, port: int, now: float) -> bool:
        """Whether the port is in its quarantine."""
        return self._resting.get(port, now) > now

    def _release_rested(self, now: float) -> None:
        while self._resting and next(iter(self._resting.values())) <= now:
            self._resting.popitem(last=False)
