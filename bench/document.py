"""Puts what was measured into docs/benchmarks.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.plots import write_plots
from bench.table import Line, markdown_table

_PAGE: Final = Path(__file__).parents[1] / "docs/benchmarks.md"
_END: Final = "<!-- end of figures -->"


def write_document(
    facts: Mapping[str, str], lines: Sequence[Line], comparisons: Sequence[str], page: Path = _PAGE
) -> None:
    """Draw the plots beside the page, and replace what stands between its two marks.

    `comparisons` are the tables of other programs, as they are printed.
    """
    write_plots(page.with_suffix(""), lines)
    figures = [
        *(f"- {name}: {value}" for name, value in facts.items()),
        "",
        *markdown_table(lines),
        "",
        *(f"![{name}]({page.stem}/{name}.svg)" for name in ("rate", "cpu", "ratios")),
        *(f"\n```text\n{table}\n```" for table in comparisons),
    ]
    replace_figures(page, "python -m bench --document", figures)


def replace_figures(page: Path, command: str, lines: Sequence[str]) -> None:
    """Replace what stands between the mark that names the command and the end mark behind it."""
    begin = f"<!-- figures: {command} -->"
    before, rest = page.read_text().split(begin)
    _, after = rest.split(_END, 1)
    page.write_text("\n".join([before + begin, "", *lines, "", _END + after]))
