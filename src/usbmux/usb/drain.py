"""How fast what was handed to an OUT endpoint goes out."""

from typing import Final

_LEAST_MEASURED: Final = 1 << 18
_MOST_MEASURED: Final = 1 << 20
"""Bytes without a break from which the rate is told: first of few, then of twice as many and so on."""
_SHARE: Final = 1 / 16
"""What counts of a rate that is lower than the one that was known."""
_WAITED_S: Final = 0.00002
"""What ends sooner after somebody began to wait may have ended before."""
_LONGEST_WRITE: Final = 49152


class Drain:
    """The writes in flight to an OUT endpoint, which carries one behind the other.

    It is told when writes have ended, not how far the one on the wire is. That follows from the rate, which is known
    once the endpoint was kept busy for a while, and from when a write ended last while somebody waited for it. It costs
    something, so it is found out only as long as somebody wants to know.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        """Bytes of the writes that have not ended; whoever submits one adds its length."""
        self.gone = 0
        """How many of them had gone out when writes ended last, as far as is known: part of the first write."""
        self.rate = 0.0
        """Bytes per second while the endpoint is busy; 0 as long as it is not known."""
        self.times_dry = 0
        """How often nothing was left in flight while it was wanted."""
        self.is_wanted = False
        """Whether somebody wants to know more than what is in flight: see `want`."""
        self.awaited_since = 0.0
        """Since when somebody waits for the next write to end, and will look at once; infinity if they look later."""
        self._looked_at = 0.0
        self._ended = 0
        """Bytes of writes that have ended since the endpoint became busy."""
        self._begun = (0, 0.0)
        """How many that were when the rate began to be measured, and when."""
        self._to_measure = _LEAST_MEASURED
        """Of how many bytes it is told next."""
        self._seen = (0, 0.0)
        """How many that were when one was seen to end last, and when."""

    def want(self, wanted: bool) -> None:
        """Find out more from now on, or no more."""
        self.is_wanted = wanted
        self.gone, self._looked_at = 0, 0.0

    def ended(self, count: int, now: float) -> None:
        """Note that writes have ended.

        Args:
            count: How many bytes they had together.
            now: The time, in seconds.
        """
        self.in_flight -= count
        if not self.is_wanted:
            return
        if not self.in_flight:
            self.times_dry += 1
            self.gone, self._looked_at = 0, 0.0
            return
        if not self._looked_at:
            self._ended = self.gone = 0
            self._begun = self._seen = (0, now)
            self._to_measure = _LEAST_MEASURED
        else:
            self._ended += count
            was_awaited = now - self.awaited_since > _WAITED_S
            if was_awaited and self._ended - self._begun[0] >= self._to_measure:
                self._measure(now)
            seen, seen_at = self._seen
            gone = seen + int(self.rate * (now - seen_at)) - self._ended
            if was_awaited or gone <= 0:
                self._seen, self.gone = (self._ended, now), 0
            else:
                self.gone = min(gone, self.in_flight - 1, _LONGEST_WRITE)
        self._looked_at = now

    def dry_at(self) -> float:
        """When all that is in flight will have gone out, on the clock of `ended`; 0 if that is not known."""
        if not self._looked_at or not self.rate:
            return 0.0
        return self._looked_at + (self.in_flight - self.gone) / self.rate

    def _measure(self, now: float) -> None:
        begun, begun_at = self._begun
        count = self._ended - begun
        if now > begun_at:
            found = count / (now - begun_at)
            # Less may be our own fault: then the endpoint had nothing to do for a moment, and nobody has seen it.
            self.rate = found if found > self.rate else self.rate + (found - self.rate) * _SHARE
        if count >= _MOST_MEASURED:
            self._begun = (self._ended, now)
        else:
            self._to_measure = min(2 * count, _MOST_MEASURED)
