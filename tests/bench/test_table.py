from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from bench.comparison import comparison_table
from bench.document import write_document
from bench.figure import Figure
from bench.plots import write_plots
from bench.rounds import measure, values
from bench.rows import all_rows
from bench.stand import Stand
from bench.subject import OURS, C
from bench.table import make_lines, markdown_table, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from bench.build import Tools
    from bench.load import Measured

RATE = Figure("rate", "MB/s", is_more_better=True, ratio_target=1.35, digits=1)


@dataclass(frozen=True, slots=True)
class ScriptedRow:
    """Ours gains on C with every measurement; `order` tells who was measured when."""

    order: list[str]
    name: str = "receive-400-64K"
    figures: tuple[Figure, ...] = (RATE,)

    def measure(self, _stand: Stand, subject: str) -> Measured:
        self.order.append(subject)
        return {"rate": 100.0 if subject == C else 100.0 + 10 * len(self.order)}


def measured(tools: Tools, rounds: int) -> tuple[ScriptedRow, dict[str, dict[str, list[Measured]]]]:
    row = ScriptedRow([])
    return row, measure(Stand(tools, 0), [row], rounds, lambda _line: None)


def test_rounds_alternate_who_is_first(no_tools: Tools) -> None:
    row, results = measured(no_tools, 3)
    assert row.order == [C, OURS, OURS, C, C, OURS]
    assert values(results, row, OURS, "rate") == [120.0, 130.0, 160.0]


def test_results_line_has_ratio_target_and_noise(no_tools: Tools) -> None:
    row, results = measured(no_tools, 3)
    (line,) = make_lines([row], results)
    assert line.ratio is not None
    assert (line.ratio.median, line.noise, line.is_reached) == (1.3, 0.0, False)


def test_table_shows_a_missed_target(no_tools: Tools) -> None:
    row, results = measured(no_tools, 3)
    head, line = print_table(make_lines([row], results)).splitlines()
    assert head.split() == ["row", "figure", "C", "ours", "ours/C", "target", "noise"]
    assert line.endswith(" missed")
    assert "1.30 [1.20-1.60]" in line


def test_markdown_table_has_a_line_for_each_figure(no_tools: Tools) -> None:
    row, results = measured(no_tools, 1)
    assert list(markdown_table(make_lines([row], results)))[2].startswith("| receive-400-64K | rate, MB/s | 100.0")


def test_plots_are_well_formed(no_tools: Tools, tmp_path: Path) -> None:
    row, results = measured(no_tools, 2)
    write_plots(tmp_path, make_lines([row], results))
    for name in ("rate.svg", "cpu.svg", "ratios.svg"):
        assert ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")
    assert "receive-400-64K rate" in (tmp_path / "ratios.svg").read_text()


def test_document_between_its_marks_is_replaced(no_tools: Tools, tmp_path: Path) -> None:
    row, results = measured(no_tools, 1)
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures: python -m bench --document -->\nold\n<!-- end of figures -->\nafter\n")
    for _ in range(2):
        write_document({"kernel": "6"}, make_lines([row], results), ["forwarders"], page)
    assert page.read_text().startswith("before\n<!-- figures: python -m bench --document -->\n\n- kernel: 6\n\n| row |")
    assert page.read_text().endswith(
        "(page/ratios.svg)\n\n```text\nforwarders\n```\n\n<!-- end of figures -->\nafter\n"
    )
    assert (tmp_path / "page/rate.svg").exists()


def test_comparison_of_programs_divides_ours_by_each_other() -> None:
    found = {"ours": [{"rate": 3.0}, {"rate": 5.0}], "one": [{"rate": 2.0}], "none": [{"rate": 0.0}]}
    head, line = comparison_table([RATE], found)
    assert head.split() == ["ours", "one", "none", "target"]
    assert line.split("  ") == ["rate, MB/s", "4.0 [3.0-5.0]", "2.0 [2.0-2.0] x2.00", "0.0 [0.0-0.0]", ">= 1.35"]


def test_rows_have_names_of_their_own() -> None:
    names = [row.name for row in all_rows()]
    assert len(names) == len(set(names))
    assert {row.name for row in all_rows(quick=True)} < set(names)
