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
        """A port that nobody uses, or None when there is none.

        When all the others rest, it is the one that has rested longest: tens of thousands of connections came after
        it, so the phone is long past its reset.
        """
        self._release_rested(now)
        if len(self._used) >= LAST_PORT:
            return None
        if len(self._used) + len(self._resting) >= LAST_PORT:
            self._last, _end = self._resting.popitem(last=False)
        else:
            self._last = self._next_free()
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

    def _next_free(self) -> int:
        port = self._last % LAST_PORT + 1
        while port in self._used or port in self._resting:
            port = port % LAST_PORT + 1
        return port

    def _release_rested(self, now: float) -> None:
        while self._resting and next(iter(self._resting.values())) <= now:
            self._resting.popitem(last=False)
