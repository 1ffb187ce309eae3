"""So many lines of the log for what a phone says, and no more."""

from typing import Final

LINES: Final = 100
PERIOD_S: Final = 10.0


class LogBudget:
    """At most `LINES` in each period of `PERIOD_S`: a phone that floods fills neither the log nor the loop's time."""

    def __init__(self) -> None:
        self._period_began = float("-inf")
        self._used = 0
        self._withheld = 0

    def take(self, now: float) -> bool:
        """Whether one more line may be written."""
        if now - self._period_began >= PERIOD_S:
            self._period_began = now
            self._used = 0
        if self._used < LINES:
            self._used += 1
            return True
        self._withheld += 1
        return False

    def take_withheld(self) -> int:
        """How many lines were withheld since this was asked last."""
        withheld, self._withheld = self._withheld, 0
        return withheld
