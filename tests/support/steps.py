"""Counts what is executed, so that tests can say how work grows without looking at a clock."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import usbmux

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from _typeshed import TraceFunction

OUR_CODE: Final = str(Path(usbmux.__file__).parent)


class StepCounter:
    """A step is a line that is run, or a call into C from there, in files whose path begins with one of these.

    Lines show the turns of a loop, and those of a comprehension as well. What a function in C does inside shows not.

    Args:
        without: Beginnings of paths that are left out of them.
    """

    def __init__(self, *within: str, without: str | None = None) -> None:
        self.places: Counter[str] = Counter()
        """Steps by function: where they come from."""
        self._within: Final = within
        self._without: Final = without
        self._is_counted: dict[str, bool] = {}

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what this thread does while the block is entered, but for the functions that it is in already."""
        trace, profile = sys.gettrace(), sys.getprofile()
        sys.setprofile(self._profile)
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(trace)
            sys.setprofile(profile)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> TraceFunction | None:
        if not self._counts(frame.f_code.co_filename):
            return None
        if event == "line":
            self.places[frame.f_code.co_qualname] += 1
        return self._trace

    def _profile(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "c_call" and self._counts(frame.f_code.co_filename):
            self.places[frame.f_code.co_qualname] += 1

    def _counts(self, path: str) -> bool:
        if path not in self._is_counted:
            is_left_out = self._without is not None and path.startswith(self._without)
            self._is_counted[path] = path.startswith(self._within) and not is_left_out
        return self._is_counted[path]


def steps_run(work: Callable[[], object], *within: str) -> int:
    """How many steps a call takes in files whose path begins with one of these."""
    counter = StepCounter(*within)
    with counter.counting():
        work()
    assert counter.places
    return counter.places.total()
