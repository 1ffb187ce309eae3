"""The table that is printed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.figure import Figure, Spread, noise, ratios, spread
from bench.rounds import Results, values
from bench.row import Row
from bench.subject import OURS, C


@dataclass(frozen=True, slots=True)
class Line:
    """A figure of a row, over all rounds."""

    row: str
    figure: Figure
    other: Spread | None
    ours: Spread
    ratio: Spread | None
    noise: float | None

    @property
    def is_reached(self) -> bool | None:
        """Whether the target is met; None if there is none."""
        return self.figure.is_reached(self.ratio.median if self.ratio else None, self.ours.median)


def make_lines(rows: Sequence[Row], results: Results) -> list[Line]:
    """One for each figure of each row that ours has."""
    return [line for row in rows for figure in row.figures if (line := _make_line(row, figure, results)) is not None]


def print_table(lines: Sequence[Line]) -> str:
    """The table as text."""
    cells = [("row", "figure", "C", "ours", "ours/C", "target", "noise", ""), *map(_cells, lines)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def markdown_table(lines: Sequence[Line]) -> Iterator[str]:
    """The same for a document."""
    yield "| row | figure | C | ours | ours/C | target | noise |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for line in lines:
        *cells, target, distance, mark = _cells(line)
        yield f"| {' | '.join(cells)} | {target}{f', {mark}' if mark else ''} | {distance} |"


def _make_line(row: Row, figure: Figure, results: Results) -> Line | None:
    ours, others = (values(results, row, subject, figure.name) for subject in (OURS, C))
    if not ours:
        return None
    quotients = ratios(ours, others) if others else []
    return Line(
        row=row.name,
        figure=figure,
        other=spread(others) if others else None,
        ours=spread(ours),
        ratio=spread(quotients) if quotients else None,
        noise=noise(others) if others else None,
    )


def _cells(line: Line) -> tuple[str, ...]:
    figure = line.figure
    return (
        line.row,
        f"{figure.name}, {figure.unit}".rstrip(", "),
        line.other.text(figure.digits) if line.other else "-",
        line.ours.text(figure.digits),
        line.ratio.text(2) if line.ratio else "-",
        figure.target_text,
        f"{line.noise:.0%}" if line.noise is not None else "-",
        {True: "", False: "missed", None: ""}[line.is_reached],
    )
