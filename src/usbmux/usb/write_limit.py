"""How much is handed to an OUT endpoint at once."""

from typing import Final

from usbmux.usb.spare_memory import SpareMemory

_LOOKS: Final = 32


class WriteLimit:
    """A bound of the bytes in flight, as low as keeps the endpoint busy.

    What is in flight cannot be overtaken, so it holds up whatever is sent next; but with too little of it the endpoint
    runs dry before we are awake again. How much is enough depends on the phone, on this computer and on what else it
    does, so it is found out. If the endpoint ran dry while more was waiting, the bound rises; by what was always left
    it sinks, for that would not have been missed. Linux's byte queue limits do the same in front of network cards.

    Args:
        least: Where it begins, in bytes, and never below.
        most: Never above.
        step: By how much it rises.
        spare: Where to borrow what is more than `least`.
    """

    def __init__(self, spare: SpareMemory, *, least: int, most: int, step: int) -> None:
        self.bytes = least
        """While as many are in flight, nothing more is handed over."""
        self._spare = spare
        self._least = least
        self._most = most
        self._step = step
        self._looks, self._least_left = 0, most

    def reopened(self, left: int) -> None:
        """The bound had been reached, and now only `left` bytes are in flight."""
        if not left:
            more = min(self._step, self._most - self.bytes)
            if self._spare.borrow(more):
                self.bytes += more
            self._looks, self._least_left = 0, self._most
            return
        self._least_left = min(self._least_left, left)
        self._looks += 1
        if self._looks == _LOOKS:
            self._sink(min(self._least_left, self.bytes - self._least))
            self._looks, self._least_left = 0, self._most

    def close(self) -> None:
        """Return what was borrowed."""
        self._sink(self.bytes - self._least)

    def _sink(self, count: int) -> None:
        self.bytes -= count
        self._spare.give_back(count)
