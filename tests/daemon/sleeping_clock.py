"""A clock that the tests move."""

from __future__ import annotations

from typing import Final

OVERSHOOT_S: Final = 0.00006


class Clock:
    """A clock in seconds, and a system that sleeps a little longer than it is asked to."""

    def __init__(self, overshoot_s: float = OVERSHOOT_S) -> None:
        self.now = 1000.0
        self.longest_pause_s = 0.0
        self._overshoot_s = overshoot_s

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.longest_pause_s = max(self.longest_pause_s, seconds)
        self.now += seconds + self._overshoot_s
