"""What comes from a phone on a connection that uploads to it."""

import math
from typing import Final

_MEASURED_S: Final = 0.02
"""How long it is counted before a rate is told."""
_REST_S: Final = 0.25
"""For how long there are no pauses where the window may be what bounds the phone."""


class Counterflow:
    """Finds out how long a phone can go on sending if we sleep meanwhile.

    It hears of what we have taken behind all that is in flight to it, and until then may send no more than a window.
    The highest rate that was seen is what it could send, for with pauses that are too long it sends less.
    """

    def __init__(self) -> None:
        self._window = self._packet = self._count = 0
        self._since = self._rate = self._rests_until = 0.0

    @property
    def is_measured(self) -> bool:
        """Whether it is known how much comes."""
        return self._rate > 0 or not self._window

    def begin_anew(self) -> None:
        """Another upload begins."""
        self._window = self._packet = self._count = 0
        self._since = self._rate = self._rests_until = 0.0

    def came(self, count: int, packet: int, window: int, now: float) -> None:
        """So many bytes have come.

        Args:
            count: How many.
            packet: How many of them in one packet.
            window: Ours, for that connection.
            now: When they came.
        """
        if not self._window:
            self._since = now
        self._count += count
        self._packet = max(packet, self._packet)
        self._window = window

    def patience_s(self, in_flight_s: float, now: float) -> float:
        """How long we may sleep: half of the time for which a window lasts, or infinity if nothing comes.

        Args:
            in_flight_s: How long what is in flight to the phone is still on its way.
            now: The time.
        """
        if not self._window:
            return math.inf
        if now - self._since >= _MEASURED_S:
            self._rate = max(self._count / (now - self._since), self._rate)
            self._count, self._since = 0, now
        if in_flight_s * self._rate + self._packet > self._window:
            self._rests_until = now + _REST_S
        if not self._rate or now < self._rests_until:
            return 0.0
        return (self._window - self._packet) / self._rate / 2
