from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.commands.top.sparkline import sparkline


@pytest.mark.parametrize(
    ("figures", "line"),
    [
        ([], "     "),
        ([0, 0], "   ▁▁"),
        ([1], "    █"),
        ([0, 1, 50, 100], " ▁▂▅█"),
        ([9, 0, 0, 0, 0, 5], "▁▁▁▁█"),
    ],
)
def test_figures_are_heights_beside_the_highest(figures: list[float], line: str) -> None:
    assert sparkline(figures, 5) == line


@given(st.lists(st.floats(0, 1e12)), st.integers(1, 80))
def test_any_figures_line_has_its_width_and_only_nothing_is_flat(figures: list[float], width: int) -> None:
    line = sparkline(figures, width)
    assert len(line) == width
    shown = figures[-width:]
    assert [character == "▁" for character in line[width - len(shown) :]] == [figure == 0 for figure in shown]
    assert not any(shown) or "█" in line
