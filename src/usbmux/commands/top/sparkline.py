"""A line of figures, each as the height of a character."""

from collections.abc import Sequence
from typing import Final

_HEIGHTS: Final = "▁▂▃▄▅▆▇█"


def sparkline(figures: Sequence[float], width: int) -> str:
    """The last figures, the newest at the right, beside the highest of them; spaces where there are none yet."""
    shown = figures[-width:]
    highest = max(shown, default=0.0)
    return "".join(_HEIGHTS[_height(figure, highest)] for figure in shown).rjust(width)


def _height(figure: float, highest: float) -> int:
    """0 for nothing; whatever is not nothing stands out."""
    if figure <= 0 or highest <= 0:
        return 0
    return 1 + round(min(figure / highest, 1.0) * (len(_HEIGHTS) - 2))
