"""What is looked into: some rows, each with the unit that its costs are told for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bench.load import Measured
from bench.row import RequestRow, Row, StreamRow
from bench.rows import all_rows

_MIB: Final = 1 << 20
_NOTHING: Final = "-"
_NAMES: Final = ("echo-64", "connects-plist", "list-fresh", "receive-900-16K", "send-900")


@dataclass(frozen=True, slots=True)
class Profiled:
    """A row of the benchmark, one of those whose cost is CPU time."""

    row: RequestRow | StreamRow

    @property
    def name(self) -> str:
        """Of the row."""
        return self.row.name

    @property
    def unit(self) -> str:
        """What is done over and over."""
        return "MiB" if isinstance(self.row, StreamRow) else "operation"

    def cpu_us(self, found: Measured) -> float:
        """Microseconds of CPU that one of them takes."""
        return found["cpu"] * 1e6 / 1024 if isinstance(self.row, StreamRow) else found["cpu"]

    def times(self, found: Measured, before: Mapping[str, int], after: Mapping[str, int]) -> float:
        """How many of them there were.

        Args:
            found: What a load without a warm-up has measured.
            before: The phone's counters before the load.
            after: And after it.
        """
        if isinstance(self.row, StreamRow):
            return sum(after[name] - before[name] for name in ("in_bytes", "out_bytes")) / _MIB
        return found["count"]


def profiled_rows() -> list[Profiled]:
    """The rows of the page, in its order."""
    rows: Mapping[str, Row] = {row.name: row for row in all_rows()}
    return [Profiled(row) for row in map(rows.__getitem__, _NAMES) if isinstance(row, RequestRow | StreamRow)]


def table(head: str, columns: Mapping[str, Mapping[str, float]], digits: int) -> Iterator[str]:
    """A table for a document: a line for each name, first those that are much of any column; then the sums."""
    names = {name: None for column in columns.values() for name in column}
    order = sorted(
        names, key=lambda name: -max(column.get(name, 0) / sum(column.values()) for column in columns.values())
    )
    yield f"| {head} | {' | '.join(columns)} |"
    yield f"| --- |{' ---: |' * len(columns)}"
    for name in order:
        if set(cells := [_cell(column.get(name, 0), digits) for column in columns.values()]) != {_NOTHING}:
            yield f"| {name} | {' | '.join(cells)} |"
    yield f"| together | {' | '.join(_cell(sum(column.values()), digits) for column in columns.values())} |"


def _cell(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if round(value, digits) else _NOTHING
