"""Measures rows on both daemons, by turns."""

from collections.abc import Callable, Sequence
from itertools import groupby

from bench.load import Measured
from bench.row import Row, StreamRow
from bench.stand import Stand
from bench.subject import SUBJECTS

Results = dict[str, dict[str, list[Measured]]]
"""For each row and daemon, what each round has found."""


def measure(stand: Stand, rows: Sequence[Row], rounds: int, say: Callable[[str], None]) -> Results:
    """Measure every row in every round, each daemon right after the other; which is first changes with the round.

    `say` is called with lines of progress.
    """
    results: Results = {row.name: {subject: [] for subject in SUBJECTS} for row in rows}
    for number in range(rounds):
        order = SUBJECTS if number % 2 == 0 else SUBJECTS[::-1]
        for kind, group in groupby(rows, _shared_link):
            for row in group:
                say(f"round {number + 1} of {rounds}: {row.name}")
                for subject in order:
                    results[row.name][subject].append(row.measure(stand, subject))
            if kind:
                stand.clear()
        stand.clear()
    return results


def values(results: Results, row: Row, subject: str, figure: str) -> list[float]:
    """What the rounds have found for a figure; empty where this daemon has none."""
    return [found[figure] for found in results[row.name][subject] if figure in found]


def _shared_link(row: Row) -> str:
    return row.link.name if isinstance(row, StreamRow) else ""
