"""What is measured, and what comes out of several rounds of it."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that a row measures, and what it must reach: ours divided by C, or ours alone."""

    name: str
    unit: str
    is_more_better: bool = False
    ratio_target: float | None = None
    own_target: float | None = None
    digits: int = 2

    def is_reached(self, ratio: float | None, own: float) -> bool | None:
        """Whether the target is met, in hundredths as a ratio is printed; None if there is none."""
        value, target = (ratio, self.ratio_target) if self.ratio_target is not None else (own, self.own_target)
        if value is None or target is None:
            return None
        return round(value, 2) >= target if self.is_more_better else round(value, 2) <= target

    @property
    def target_text(self) -> str:
        """As ``>= 1.35`` or, where it is not a ratio, ``<= 250 ms``."""
        sign = ">=" if self.is_more_better else "<="
        if self.ratio_target is not None:
            return f"{sign} {self.ratio_target:g}"
        if self.own_target is not None:
            return f"{sign} {self.own_target:g} {self.unit}".rstrip()
        return ""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and their range."""

    median: float
    least: float
    most: float

    def text(self, digits: int) -> str:
        """As ``1.42 [1.40-1.45]``."""
        return f"{self.median:.{digits}f} [{self.least:.{digits}f}-{self.most:.{digits}f}]"


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(ours: Sequence[float], others: Sequence[float]) -> list[float]:
    """Ours to theirs, round by round; rounds in which they had nothing are left out."""
    return [our / other for our, other in zip(ours, others, strict=True) if other > 0]


def noise(values: Sequence[float]) -> float | None:
    """How far a program is from itself from one round to the next: the median, as a share.

    None: there is nothing to compare.
    """
    steps = [abs(after / before - 1) for before, after in itertools.pairwise(values) if before > 0 and after > 0]
    return statistics.median(steps) if steps else None
