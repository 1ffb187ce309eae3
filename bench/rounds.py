"""Measures rows on both daemons, by turns."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from bench.load import Measured
from bench.row import Row, StreamRow
from bench.stand import Stand
from bench.stolen import StolenTime
from bench.subject import SUBJECTS

_STOLEN: Final = "stolen"
_TOLERATED: Final = 0.25

Results = dict[str, dict[str, list[Measured]]]
"""For each row and daemon, what each round has found."""


def measure(stand: Stand, rows: Sequence[Row], rounds: int, say: Callable[[str], None]) -> Results:
    """Measure every row in every round, each daemon right after the other; which is first changes with the round.

    Where other machines had much of the processors meanwhile, it is measured once more, and the quieter of both counts.
    `say` is called with lines of progress.
    """
    results: Results = {row.name: {subject: [] for subject in SUBJECTS} for row in rows}
    for number in range(rounds):
        order = SUBJECTS if number % 2 == 0 else SUBJECTS[::-1]
        for kind, group in groupby(rows, _shared_link):
            for row in group:
                say(f"round {number + 1} of {rounds}: {row.name}")
                for subject in order:
                    results[row.name][subject].append(_measure_quietly(stand, row, subject))
            if kind:
                stand.clear()
        stand.clear()
    return results


def values(results: Results, row: Row, subject: str, figure: str) -> list[float]:
    """What the rounds have found for a figure; empty where this daemon has none."""
    return [found[figure] for found in results[row.name][subject] if figure in found]


def stolen_text(results: Results) -> str:
    """What other machines had of the processors while the figures that count were measured, for the reader."""
    shares = sorted(found[_STOLEN] for row in results.values() for rounds in row.values() for found in rounds)
    return f"{shares[len(shares) // 2]:.0%} of a processor in the middle, {shares[-1]:.0%} at worst"


def _measure_quietly(stand: Stand, row: Row, subject: str) -> Measured:
    tries: list[Measured] = []
    while len(tries) < 2 and all(found[_STOLEN] > _TOLERATED for found in tries):
        with StolenTime() as stolen:
            found = row.measure(stand, subject)
        tries.append(found | {_STOLEN: stolen.share})
    return min(tries, key=lambda found: found[_STOLEN])


def _shared_link(row: Row) -> str:
    return row.link.name if isinstance(row, StreamRow) else ""
