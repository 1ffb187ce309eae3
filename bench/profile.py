"""Where each microsecond goes: prints what takes the CPU time of the daemon, and how many calls that is.

    python -m bench.profile [--row NAME ...] [--seconds N] [--functions N] [--flames FOLDER] [--document]

It looks in three ways, each at a load of its own: perf tells whose machine code runs, samples taken inside the daemon
whose Python code, and cProfile counts the calls. Everything is told for one operation, or for one MiB of a stream.
"""

import argparse
import fnmatch
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.build import BenchError, Tools, build_tools
from bench.calls import Calls, count_calls
from bench.document import replace_figures
from bench.machine import machine_facts
from bench.owners import flames, owner_shares
from bench.processors import pinned_clients
from bench.profiled import Profiled, profiled_rows, table
from bench.samples import sampled, shares
from bench.stand import Stand
from bench.subject import OURS, SUBJECTS, check_subjects

PAGE: Final = Path(__file__).parents[1] / "docs/performance.md"
Shares = dict[str, dict[str, float]]
"""By row, microseconds of an operation by what takes them."""


def main() -> None:
    """Look, print, and leave the tables; exit with 1 if it cannot be done."""
    options = _parse()
    rows = [row for row in profiled_rows() if not options.row or any(fnmatch.fnmatch(row.name, p) for p in options.row)]
    if not rows:
        sys.exit("bench.profile: no such row")
    began = time.monotonic()
    try:
        check_subjects()
        with pinned_clients(), tempfile.TemporaryDirectory(prefix="bench") as folder:
            lines = _look(build_tools(), rows, options, Path(folder))
    except BenchError as error:
        sys.exit(f"bench.profile: {error}")
    facts = machine_facts() | {"took": f"{time.monotonic() - began:.0f} s, {options.seconds:g} s for each load"}
    lines = [*(f"- {name}: {value}" for name, value in facts.items()), "", *lines]
    print("\n".join(lines))
    if options.document:
        replace_figures(PAGE, "python -m bench.profile --document", lines)


def _look(tools: Tools, rows: Sequence[Profiled], options: argparse.Namespace, folder: Path) -> list[str]:
    layers: dict[str, Shares] = {subject: {} for subject in SUBJECTS}
    owners: Shares = {}
    calls: dict[str, Calls] = {}
    for row in rows:
        heading = f"{row.name}, {row.unit}"
        for subject in SUBJECTS:
            _say(f"{row.name}: machine code of {subject}")
            layers[subject][heading] = _layers(tools, row, subject, options.seconds, folder)
        _say(f"{row.name}: Python code")
        cpu_us = sum(layers[OURS][heading].values())  # to look from inside takes time itself
        shares_now = owner_shares(tools, row, options.seconds, folder)
        owners[heading] = {owner: share * cpu_us for owner, share in shares_now.items()}
        _say(f"{row.name}: calls")
        calls[heading] = count_calls(tools, row, options.seconds, folder)
        if options.flames:
            _draw_flames(tools, row, options.seconds, options.flames)
    return [*_tables(layers, owners, calls), *_most_called(calls, options.functions)]


def _layers(tools: Tools, row: Profiled, subject: str, seconds: float, folder: Path) -> dict[str, float]:
    output = folder / f"{row.name}.{subject}.perf"
    with Stand(tools, seconds) as stand:
        daemon = stand.daemon(subject, row.row.link)
        with sampled(daemon.pid, output):
            cpu_us = row.cpu_us(row.row.measure(stand, subject))
    return {layer: share * cpu_us for layer, share in shares(output).items()}


def _draw_flames(tools: Tools, row: Profiled, seconds: float, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with Stand(tools, seconds) as stand:
        daemon = stand.daemon(OURS, row.row.link)
        with flames(daemon.pid, folder / f"{row.name}.svg"):
            row.row.measure(stand, OURS)


def _tables(layers: Mapping[str, Shares], owners: Shares, calls: Mapping[str, Calls]) -> list[str]:
    lines = []
    for subject, found in layers.items():
        lines += [f"Machine code, {subject}, microseconds of CPU:", "", *table("whose", found, 1), ""]
    lines += ["Python code with all that it calls, ours, microseconds of CPU:", "", *table("whose", owners, 1), ""]
    counts = {heading: each.by_group for heading, each in calls.items()}
    return [*lines, "Calls of functions, ours:", "", *table("whose", counts, 1)]


def _most_called(calls: Mapping[str, Calls], count: int) -> list[str]:
    lines = []
    for heading, each in calls.items():
        most = list(each.by_function.items())[:count]
        lines += (
            ["", f"Most called, {heading}:", "", *(f"    {times:7.2f} {name}" for name, times in most)] if most else []
        )
    return lines


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.profile", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--row", action="append", default=[], metavar="PATTERN", help="only these, as 'echo-*'")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load (default: %(default)s)")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="name the N functions called most")
    parser.add_argument("--flames", type=Path, metavar="FOLDER", help="draw flame graphs there")
    parser.add_argument("--document", action="store_true", help="put the tables into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
