"""What stands behind the sums of the `duplex` rows: each direction for itself, and C's price of the same bytes.

A byte costs more from the phone than to it, and with short packets many times more. Where the daemons carry different
shares of both, the CPU time of a GiB compares different work; so C is asked what ours has carried would have cost it
one way after the other.
"""

import statistics
from collections.abc import Iterator
from typing import Final

from bench.load import Measured
from bench.rounds import Results
from bench.subject import OURS, SUBJECTS, C

_MEGABYTE: Final = 1_000_000
_HEAD: Final = (
    "both ways at once",
    "from the phone, MB/s: C",
    "ours",
    "to the phone, MB/s: C",
    "ours",
    "cpu, s/GiB: C, one way after the other",
    "ours",
    "ours/C",
)


def both_ways_table(results: Results) -> list[str]:
    """A line for each `duplex` row whose two single directions were measured too, medians; empty without any."""
    lines = list(_lines(results))
    if not lines:
        return []
    cells = [_HEAD, *lines]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _lines(results: Results) -> Iterator[tuple[str, ...]]:
    for name, found in results.items():
        mode, _, rest = name.partition("-")
        receive, send = (results.get(f"{other}-{link}") for other, link in _single_directions(rest))
        if mode != "duplex" or receive is None or send is None:
            continue
        rates = [_rate(found[subject], moved) for moved in ("received", "sunk") for subject in SUBJECTS]
        prices = [
            (_price_one_way(ours, of_receiving, of_sending), ours["cpu"])
            for ours, of_receiving, of_sending in zip(found[OURS], receive[C], send[C], strict=True)
        ]
        one_way, ours_cpu = (statistics.median(values) for values in zip(*prices, strict=True))
        ratio = statistics.median(ours_price / price for price, ours_price in prices)
        yield (name, *(f"{rate:.0f}" for rate in rates), f"{one_way:.3f}", f"{ours_cpu:.3f}", f"{ratio:.2f}")


def _single_directions(link_and_packet: str) -> Iterator[tuple[str, str]]:
    """The rows of one direction that belong to `duplex` on this link with these packets."""
    yield "receive", link_and_packet
    yield "send", link_and_packet.partition("-")[0]


def _rate(rounds: list[Measured], moved: str) -> float:
    return statistics.median(found[moved] / found["elapsed_s"] / _MEGABYTE for found in rounds)


def _price_one_way(ours: Measured, of_receiving: Measured, of_sending: Measured) -> float:
    """Seconds that C takes for a GiB of what ours has carried, at its prices of the single directions."""
    received, sunk = ours["received"], ours["sunk"]
    return (received * of_receiving["cpu"] + sunk * of_sending["cpu"]) / max(received + sunk, 1)
