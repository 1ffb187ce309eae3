"""The table of programs beside each other, of which the first is ours."""

from collections.abc import Iterator, Mapping, Sequence

from bench.figure import Figure, Spread, spread
from bench.load import Measured


def comparison_table(figures: Sequence[Figure], found: Mapping[str, Sequence[Measured]]) -> Iterator[str]:
    """A line for each figure: every program's median and range, and behind those of others ours divided by theirs."""
    rows = [("", *found, "target"), *(_row(figure, found) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(figure: Figure, found: Mapping[str, Sequence[Measured]]) -> tuple[str, ...]:
    ours, *others = (spread([measured[figure.name] for measured in rounds]) for rounds in found.values())
    cells = [ours.text(figure.digits), *(_cell(figure, ours, other) for other in others)]
    return (f"{figure.name}, {figure.unit}", *cells, figure.target_text)


def _cell(figure: Figure, ours: Spread, other: Spread) -> str:
    ratio = f" x{ours.median / other.median:.2f}" if other.median > 0 else ""
    return other.text(figure.digits) + ratio
