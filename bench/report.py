"""Everything that was found, as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.rounds import Results
from bench.table import Line


def daemons_report(facts: Mapping[str, str], lines: Sequence[Line], results: Results) -> dict[str, object]:
    """The machine, the lines of the table, and what every round has measured."""
    table = [
        {
            "row": line.row,
            "figure": line.figure.name,
            "unit": line.figure.unit,
            "C": asdict(line.other) if line.other else None,
            "ours": asdict(line.ours),
            "ratio": asdict(line.ratio) if line.ratio else None,
            "target": line.figure.target_text,
            "is_reached": line.is_reached,
            "noise": line.noise,
        }
        for line in lines
    ]
    return {"machine": facts, "table": table, "rounds": results}


def write_report(path: Path, report: Mapping[str, object]) -> None:
    """Write it, readable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
