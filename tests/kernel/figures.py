"""What was measured and what came out, our daemon beside the other one; printed when the tests have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Figures:
    def __init__(self) -> None:
        self.lines: list[str] = []
        """Whatever has no columns, such as the time of a boot."""
        self._cells: dict[str, dict[str, str]] = {}

    def record(self, check: str, subject: str, text: str) -> None:
        self._cells.setdefault(check, {})[subject] = text

    def table(self) -> Iterator[str]:
        """A line for each check, a column for each subject."""
        subjects = sorted({subject for row in self._cells.values() for subject in row}, reverse=True)
        rows = [("check", *subjects)]
        rows += [(check, *(row.get(subject, "-") for subject in subjects)) for check, row in self._cells.items()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def spread(seconds: Sequence[float]) -> str:
    """Median and maximum of some times."""
    ordered = sorted(seconds)
    return f"{ordered[len(ordered) // 2]:.2f} s, at most {ordered[-1]:.2f} s"
