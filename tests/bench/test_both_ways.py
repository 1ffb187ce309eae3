from __future__ import annotations

from typing import TYPE_CHECKING

from bench.both_ways import both_ways_table
from bench.subject import OURS, C

if TYPE_CHECKING:
    from bench.load import Measured
    from bench.rounds import Results


def stream(received_mb: float, sunk_mb: float, cpu: float) -> Measured:
    return {"received": received_mb * 1e6, "sunk": sunk_mb * 1e6, "elapsed_s": 2.0, "cpu": cpu}


RESULTS: Results = {
    "receive-400-4K": {C: [stream(200, 0, 6.0)], OURS: [stream(800, 0, 3.0)]},
    "send-400": {C: [stream(0, 800, 1.0)], OURS: [stream(0, 800, 1.0)]},
    "duplex-400-4K": {C: [stream(200, 600, 2.0)], OURS: [stream(600, 200, 3.8)]},
}


def test_both_ways_of_ours_are_priced_as_c_takes_for_each_alone() -> None:
    _, line = both_ways_table(RESULTS)
    assert line.split() == ["duplex-400-4K", "100", "300", "300", "100", "4.750", "3.800", "0.80"]


def test_both_ways_without_a_single_direction_are_left_out() -> None:
    for missing in ("receive-400-4K", "send-400", "duplex-400-4K"):
        assert both_ways_table({name: found for name, found in RESULTS.items() if name != missing}) == []
