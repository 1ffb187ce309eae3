"""Answers to segments of connections that we know nothing of (T5)."""

from collections import OrderedDict
from typing import Final

from usbmux.mux.segment import Flags, Segment, seq_add

MAX_STRAY_RESETS: Final = 64
"""Answers that may wait; a phone that sends more gets no more."""


class StrayResets:
    """The resets that wait to be sent, one for each pair of ports."""

    def __init__(self, window: int) -> None:
        self._window: Final = window
        self.waiting: Final[OrderedDict[tuple[int, int], Segment]] = OrderedDict()
        """By the two ports; the last of several counts."""

    def answer(self, segment: Segment) -> bool:
        """Answer a segment, if there is room.

        Returns:
            Whether it is the first one of its two ports that is answered.
        """
        ports = (segment.destination_port, segment.source_port)
        is_new = ports not in self.waiting
        if is_new and len(self.waiting) >= MAX_STRAY_RESETS:
            return False
        ack = seq_add(segment.seq, len(segment.payload) + (1 if segment.flags & Flags.SYN else 0))
        self.waiting[ports] = Segment(*ports, segment.ack, ack, Flags.RST, self._window)
        return is_new

    def take(self) -> Segment:
        """Remove and return the one that has waited longest."""
        return self.waiting.popitem(last=False)[1]
