"""How often something happened in the last hour."""

from typing import Final

_MINUTE_S: Final = 60
_MINUTES: Final = 60


class LastHour:
    """A count for each minute, so that it stays small whatever happens. Times are in seconds, of any clock."""

    __slots__ = ("_minutes",)

    def __init__(self) -> None:
        self._minutes: dict[int, int] = {}

    def add(self, now: float) -> None:
        """It happens now."""
        minute = int(now // _MINUTE_S)
        self._minutes = {known: count for known, count in self._minutes.items() if known > minute - _MINUTES}
        self._minutes[minute] = self._minutes.get(minute, 0) + 1

    def count(self, now: float) -> int:
        """How often it happened in this minute and the 59 before."""
        minute = int(now // _MINUTE_S)
        return sum(count for known, count in self._minutes.items() if known > minute - _MINUTES)
