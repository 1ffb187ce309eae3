"""Rates, from readings of a counter."""

from collections import deque
from typing import Final

from usbmux.values import frozen

HISTORY: Final = 60
"""So many rates are remembered."""


@frozen
class Flow:
    """How fast a counter counts."""

    per_s: float | None = None
    """Between the last two readings; None while there is one."""
    history: tuple[float, ...] = ()
    """The last rates, at most `HISTORY`, the newest at the end."""


class Meter:
    """Reads one counter again and again. Times are in seconds, of any clock."""

    def __init__(self) -> None:
        self._count = 0.0
        self._read_at: float | None = None
        self._history: Final[deque[float]] = deque(maxlen=HISTORY)

    def read(self, count: float, now: float) -> Flow:
        """Take a reading. One that is lower than the last is of a counter that has begun again at 0."""
        if self._read_at is None or now > self._read_at:
            if self._read_at is not None:
                moved = count - self._count if count >= self._count else count
                self._history.append(moved / (now - self._read_at))
            self._count, self._read_at = count, now
        return Flow(self._history[-1] if self._history else None, tuple(self._history))
