"""Sleeps of a fraction of a millisecond, which a system makes longer."""

from collections.abc import Callable
from typing import Final

_LEAST_ASKED_S: Final = 0.000001
"""What the system is asked for if it takes as long as we want anyhow; nothing at all would be no sleep."""
_LONGEST_OVERSHOOT_S: Final = 0.0015
"""If the system takes longer to wake us, something else had the processor."""


class ShortSleep:
    """Sleeps as long as is wanted, as far as it depends on the system.

    It wakes us too late by a hundred microseconds and less. That is measured, and taken off.

    Args:
        now: The clock, in seconds.
        sleep: Sleeps for so many seconds, or a little longer.
    """

    def __init__(self, now: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self.ended_at = 0.0
        """When the last one was over."""
        self.took_s = 0.0
        """How long it was."""
        self.was_as_usual = False
        """Whether nothing else had the processor at its end."""
        self._now: Final = now
        self._sleep: Final = sleep
        self._overshoot_s = 0.0
        """By how much longer than asked for it usually is."""

    def __call__(self, wanted_s: float, now: float) -> float:
        """Sleep.

        Returns:
            For how many seconds the system was asked to.
        """
        asked_s = max(wanted_s - self._overshoot_s, _LEAST_ASKED_S)
        self._sleep(asked_s)
        self.ended_at = self._now()
        self.took_s = self.ended_at - now
        overshoot_s = self.took_s - asked_s
        self.was_as_usual = overshoot_s < _LONGEST_OVERSHOOT_S
        if self.was_as_usual:
            self._overshoot_s += (overshoot_s - self._overshoot_s) / 8
        return asked_s
