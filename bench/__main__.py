"""Compares our daemon with Debian's usbmuxd on the same emulated bus, and prints what it found.

python -m bench [--quick] [--row NAME ...] [--rounds N] [--seconds N]

Nothing here says how fast anything must be: a target that is missed is marked and no more. docs/benchmarks.md tells
how it is measured.
"""

import argparse
import fnmatch
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.both_ways import both_ways_table
from bench.build import BenchError, Tools, build_tools
from bench.clients import LIBRARY_FIGURES, TOOL_FIGURES, measure_libraries, measure_tools
from bench.comparison import comparison_table
from bench.document import write_document
from bench.figure import Figure
from bench.forwarding import FORWARDER_FIGURES, measure_forwarders
from bench.load import Measured
from bench.machine import machine_facts
from bench.processors import pinned_clients
from bench.report import daemons_report, write_report
from bench.rounds import Results, measure, stolen_text
from bench.row import Row
from bench.rows import all_rows
from bench.stand import Stand
from bench.subject import check_subjects
from bench.table import make_lines, print_table
from bench.verify import verify_subjects

_REPORT: Final = Path(__file__).parents[1] / ".build/bench/report.json"


def main() -> None:
    """Measure, print, and leave the report; exit with 1 if it cannot be done."""
    options = _parse()
    rows = [row for row in all_rows(options.quick) if _is_chosen(row.name, options.row)]
    others = [name for name in _OTHERS if _is_chosen(name, options.row)]
    if not rows and not others:
        sys.exit("bench: no such row; --list prints all")
    if options.list:
        print("\n".join([*(row.name for row in rows), *others]))
        return
    try:
        _measure(rows, others, options)
    except BenchError as error:
        sys.exit(f"bench: {error}")


def _measure(rows: Sequence[Row], others: Sequence[str], options: argparse.Namespace) -> None:
    tools, facts = build_tools(), machine_facts()
    results = _measure_daemons(tools, rows, facts, options) if rows else {}
    lines = make_lines(rows, results)
    print("\n".join(f"{name}: {value}" for name, value in facts.items()))
    if lines:
        print(f"\n{print_table(lines)}")
    programs: dict[str, dict[str, list[Measured]]] = {}
    tables = ["\n".join(both_ways)] if (both_ways := both_ways_table(results)) else []
    for table in tables:
        print(f"\n{table}")
    for name in others:
        for title, figures, found in _OTHERS[name](tools, 1 if options.quick else options.rounds, options.seconds):
            programs[title] = found
            tables.append("\n".join([title, *comparison_table(figures, found)]))
            print(f"\n{tables[-1]}")
    write_report(options.json, daemons_report(facts, lines, results) | {"programs": programs})
    if options.document:
        write_document(facts, lines, tables)


def _measure_daemons(tools: Tools, rows: Sequence[Row], facts: dict[str, str], options: argparse.Namespace) -> Results:
    check_subjects()
    began = time.monotonic()
    with pinned_clients(), Stand(tools, options.seconds) as stand:
        compared = verify_subjects(stand)
        facts["compared before"] = ", ".join(f"{count >> 20} MiB of {name}" for name, count in compared.items())
        results = measure(stand, rows, options.rounds, _say)
    facts["stolen"] = stolen_text(results)
    took_s = time.monotonic() - began
    facts["took"] = f"{took_s:.0f} s: {options.rounds} rounds, {options.seconds:g} s for each measurement"
    return results


_Comparison = tuple[str, Sequence[Figure], dict[str, list[Measured]]]


def _forwarders(tools: Tools, rounds: int, seconds: float) -> Iterator[_Comparison]:
    yield "forwarders", FORWARDER_FIGURES, measure_forwarders(tools, rounds, seconds, _say)


def _clients(tools: Tools, rounds: int, seconds: float) -> Iterator[_Comparison]:
    yield "client libraries for Python", LIBRARY_FIGURES, measure_libraries(tools, rounds, seconds, _say)
    yield "tools that list the phones", TOOL_FIGURES, measure_tools(tools, rounds, _say)


_OTHERS: Final = {"forwarders": _forwarders, "clients": _clients}


def _is_chosen(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer rows, rounds and seconds")
    parser.add_argument("--row", action="append", default=[], metavar="PATTERN", help="only these, as 'receive-400-*'")
    parser.add_argument("--rounds", type=int, help="how often each row is measured (default: 5, quick: 2)")
    parser.add_argument("--seconds", type=float, help="of one measurement (default: 1, quick: 0.3)")
    parser.add_argument("--json", type=Path, default=_REPORT, metavar="PATH", help="where the report goes")
    parser.add_argument("--document", action="store_true", help="put the figures and plots into docs/benchmarks.md")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (0.3 if options.quick else 1.0)
    return options


if __name__ == "__main__":
    main()
