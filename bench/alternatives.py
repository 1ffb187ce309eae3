"""What was tried and did not pay, and what compiled code would add: each beside the daemon as it is.

    python -m bench.alternatives [--rounds N] [--seconds N] [--row NAME ...] [--document]

The variants take turns in every round; a ratio is taken within a round. What they need is installed into
.build/alternatives, and all that are Python run on the interpreter there.
"""

import argparse
import fnmatch
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.build import BenchError, Tools, build_plane, build_tools
from bench.call_costs import call_costs
from bench.compiled import compiled_package
from bench.document import replace_figures
from bench.environment import tool_program
from bench.figure import ratios, spread
from bench.load import Measured
from bench.machine import machine_facts
from bench.processors import pinned_clients
from bench.profile import PAGE
from bench.row import Row
from bench.rows import all_rows
from bench.stand import Stand
from bench.subject import INSTALLED, OURS, C, check_subjects

_ROOT: Final = Path(__file__).parents[1]
_VARIED: Final = Path(__file__).with_name("inside") / "varied.py"
_PLANE: Final = Path(__file__).with_name("plane") / "plane.py"
_ROWS: Final = ("echo-64", "echo-64-50x", "connects-plist", "receive-900-16K", "receive-900-64K", "send-900")
_BASE: Final = "as it is"
Found = dict[str, dict[str, list[Measured]]]
"""By row and variant, what each round has measured."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Something that is measured beside the daemon as it is."""

    name: str
    launcher: Sequence[str]
    subject: str = OURS


def main() -> None:
    """Measure, print, and leave the tables; exit with 1 if it cannot be done."""
    options = _parse()
    chosen = [name for name in _ROWS if not options.row or any(fnmatch.fnmatch(name, p) for p in options.row)]
    if not chosen:
        sys.exit("bench.alternatives: no such row")
    rows = sorted((row for row in all_rows() if row.name in chosen), key=lambda row: chosen.index(row.name))
    began = time.monotonic()
    try:
        check_subjects()
        tools = build_tools()
        with tempfile.TemporaryDirectory(prefix="bench") as folder:
            costs = call_costs(tools, Path(folder))
        variants = _variants(tools)
        with pinned_clients():
            found = _measure(tools, variants, rows, options)
    except BenchError as error:
        sys.exit(f"bench.alternatives: {error}")
    took = f"{time.monotonic() - began:.0f} s: {options.rounds} rounds, {options.seconds:g} s for each measurement"
    lines = [*(f"- {name}: {value}" for name, value in (machine_facts() | {"took": took}).items()), ""]
    for title, figure in (("CPU time", "cpu"), ("Rate", "rate")):
        lines += [f"{title}, each to the daemon as it is:", "", *_table(found, variants, figure), ""]
    lines += ["Nanoseconds of a call with one pointer:", "", "| | ns |", "| --- | ---: |"]
    lines += [f"| {way} | {cost:.0f} |" for way, cost in costs.items()]
    print("\n".join(lines))
    if options.document:
        replace_figures(PAGE, "python -m bench.alternatives --document", lines)


def _variants(tools: Tools) -> list[Variant]:
    python = tool_program("python")

    def ours(name: str, variant: str = _BASE, package: Path = _ROOT / "src", *options: str) -> Variant:
        return Variant(name, (f"PYTHONPATH={package}", python, str(_VARIED), variant, *INSTALLED, *options))

    return [
        ours(_BASE),
        ours("as it is, once more: the noise"),
        ours("descriptors by asyncio", "asyncio"),
        ours("uvloop", "uvloop"),
        ours("a function in Python for each transfer", "callbacks"),
        ours("a thread for each phone", "threads"),
        ours("16 reads of 64 KiB", _BASE, _ROOT / "src", "--reads", "16x65536"),
        ours("mux compiled by mypyc", package=compiled_package()),
        Variant("data plane in Python (sketch)", (python, str(_PLANE))),
        Variant("data plane in C (sketch)", (str(build_plane(tools)),)),
        Variant("Debian's usbmuxd", INSTALLED, C),
    ]


def _measure(tools: Tools, variants: Sequence[Variant], rows: Sequence[Row], options: argparse.Namespace) -> Found:
    found: Found = {row.name: {variant.name: [] for variant in variants} for row in rows}
    for number in range(options.rounds):
        with ExitStack() as stack:
            stands = {each: stack.enter_context(Stand(tools, options.seconds, each.launcher)) for each in variants}
            order = variants if number % 2 == 0 else variants[::-1]
            for row in rows:
                print(f"round {number + 1} of {options.rounds}: {row.name}", file=sys.stderr, flush=True)
                for each in order:
                    found[row.name][each.name].append(row.measure(stands[each], each.subject))
    return found


def _table(found: Found, variants: Sequence[Variant], figure: str) -> Iterator[str]:
    yield f"| | {' | '.join(found)} |"
    yield f"| --- |{' ---: |' * len(found)}"
    for variant in variants[1:]:
        cells = [_cell(rounds[variant.name], rounds[_BASE], figure) for rounds in found.values()]
        yield f"| {variant.name} | {' | '.join(cells)} |"


def _cell(rounds: Sequence[Mapping[str, float]], base: Sequence[Mapping[str, float]], figure: str) -> str:
    return spread(ratios([each[figure] for each in rounds], [each[figure] for each in base])).text(2)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.alternatives", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one measurement (default: %(default)s)")
    parser.add_argument("--row", action="append", default=[], metavar="PATTERN", help="only these, as 'echo-*'")
    parser.add_argument("--document", action="store_true", help="put the tables into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
