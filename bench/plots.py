"""The plots of docs/benchmarks.md, drawn from the lines of the table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.chart import Bar, Panel, draw_bars, draw_panels
from bench.link import LINKS
from bench.rows import PACKETS
from bench.subject import OURS, C
from bench.table import Line

if TYPE_CHECKING:
    from bench.figure import Spread

_TITLES: Final = {"rate": "Phone to host, MB/s", "cpu": "Phone to host, CPU seconds per GiB"}


def write_plots(folder: Path, lines: Sequence[Line]) -> None:
    """Write rate.svg, cpu.svg (both against the size of the phone's packets) and ratios.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {(line.row, line.figure.name): line for line in lines}
    for figure, title in _TITLES.items():
        panels = [_panel(found, link.name, figure) for link in LINKS]
        (folder / f"{figure}.svg").write_text(draw_panels(title, panels))
    bars = [
        Bar(f"{line.row} {line.figure.name}", line.ratio, line.figure.ratio_target)
        for line in lines
        if line.ratio is not None and line.figure.ratio_target is not None
    ]
    (folder / "ratios.svg").write_text(draw_bars("ours / C (red: target)", bars))


def _panel(found: dict[tuple[str, str], Line], link: str, figure: str) -> Panel:
    curves: dict[str, list[Spread | None]] = {C: [], OURS: []}
    for packet in PACKETS:
        line = found.get((f"receive-{link}-{packet}", figure))
        curves[C].append(line.other if line else None)
        curves[OURS].append(line.ours if line else None)
    return Panel(f"{link} MB/s" if link.isdigit() else link, tuple(PACKETS), dict(curves))
