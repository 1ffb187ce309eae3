"""How much is handed to an OUT endpoint at once."""

import time
from collections.abc import Callable
from typing import Final

from usbmux.usb.drain import Drain
from usbmux.usb.spare_memory import SpareMemory

_LOOKS: Final = 32
_MOST_LOOKS: Final = 4096
_LEAD_S: Final = 0.00025
"""What an endpoint must have left to do while we wake up and hand over the next packet."""


class WriteLimit:
    """A bound of the bytes in flight, as low as keeps the endpoint busy.

    What is in flight cannot be overtaken, so it holds up whatever is sent next; but with too little of it the endpoint
    runs dry before we are awake again. How much is enough depends on the phone, on this computer and on what else it
    does, so it is found out. If the endpoint ran dry while more was waiting, the bound rises; by what was always left
    it sinks, for that would not have been missed. Linux's byte queue limits do the same in front of network cards.
    What sinks until the endpoint runs dry is tried again ever more rarely, for each time costs the phone a pause.

    Once it is known how fast the endpoint is, the bound is never below what it carries while we wake up, and what has
    gone out of the write on the wire does not count, as long as there is memory to borrow for that.

    Args:
        least: Where it begins, in bytes, and never below.
        most: Never above.
        step: By how much it rises.
        spare: Where to borrow what is more than `least`.
        now: The clock, in seconds.
    """

    def __init__(
        self, spare: SpareMemory, *, least: int, most: int, step: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.bytes = least
        """While as many are in flight, nothing more is handed over."""
        self.drain: Final = Drain()
        """What is in flight; whoever submits a write adds its length."""
        self._followed = 0.0
        """The rate that the limit is made for; 0 for none."""
        self._leaves_out_gone = False
        """Whether bytes that have gone out do not count, though their write has not ended."""
        self._now = now
        self._spare = spare
        self._least = least
        self._floor = least
        self._risen = 0
        """By how much because of the rate."""
        self._most = most
        self._step = step
        self._looks, self._least_left = 0, most
        self._patience = _LOOKS
        """After how many looks it sinks."""
        self._has_sunk = False
        """Whether the endpoint has not run dry since it sank."""

    def is_reached(self) -> bool:
        """Whether nothing more is to be handed over now."""
        return self._left() >= self.bytes

    def ended(self, count: int, *, was_full: bool) -> None:
        """Writes have ended.

        Args:
            count: How many bytes they had together.
            was_full: Whether nothing could be handed over before.
        """
        drain = self.drain
        if drain.is_wanted:
            drain.ended(count, self._now())
        else:
            drain.in_flight -= count
        if drain.is_wanted and (drain.in_flight or was_full):
            if drain.rate != self._followed:
                self._follow(drain.rate)
        elif self._followed:
            self._follow_no_more()
        if was_full and (left := self._left()) < self.bytes:
            self._reopened(left)

    def close(self) -> None:
        """Return what was borrowed."""
        self._follow_no_more()
        self._sink(self.bytes - self._least)

    def _left(self) -> int:
        drain = self.drain
        return drain.in_flight - drain.gone if self._leaves_out_gone else drain.in_flight

    def _reopened(self, left: int) -> None:
        """The bound had been reached, and now only `left` bytes are in flight."""
        if not left:
            self._rise(min(self._step, self._most - self.bytes))
            self._looks, self._least_left = 0, self._most
            if self._has_sunk:
                self._patience = min(2 * self._patience, _MOST_LOOKS)
                self._has_sunk = False
            return
        self._least_left = min(self._least_left, left)
        self._looks += 1
        if self._looks >= self._patience:
            self._sink(min(self._least_left, self.bytes - self._floor))
            self._looks, self._least_left = 0, self._most
            if self._has_sunk:
                self._patience = max(self._patience // 2, _LOOKS)
            self._has_sunk = True

    def _follow(self, rate: float) -> None:
        """The endpoint is busy, and carries so many bytes per second."""
        self._followed = rate
        self._floor = min(self._least + int(rate * _LEAD_S), self._most)
        if not self._leaves_out_gone:
            self._leaves_out_gone = self._spare.borrow(self._least)
        if (count := self._floor - self.bytes) > 0 and self._rise(count):
            self._risen += count

    def _follow_no_more(self) -> None:
        """The endpoint has nothing to do, or it is not known any more how fast it is."""
        self._followed = 0.0
        self._floor = self._least
        if self._leaves_out_gone:
            self._leaves_out_gone = False
            self._spare.give_back(self._least)
        self._sink(min(self._risen, self.bytes - self._least))
        self._risen = 0

    def _rise(self, count: int) -> bool:
        if not self._spare.borrow(count):
            return False
        self.bytes += count
        return True

    def _sink(self, count: int) -> None:
        if count > 0:
            self.bytes -= count
            self._spare.give_back(count)
