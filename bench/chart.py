"""Charts as SVG text: lines with ranges, and bars around one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from bench.figure import Spread

_STYLE: Final = (
    "<style>text{font:12px sans-serif;fill:#333}.title{font-weight:bold}"
    ".end{text-anchor:end}.middle{text-anchor:middle}"
    ".axis{stroke:#999;stroke-width:1}.grid{stroke:#ddd;stroke-width:1}.target{stroke:#c00;stroke-width:2}"
    "</style>"
)
_COLOURS: Final = {"C": "#8c6d31", "ours": "#1f77b4"}
_PANEL_WIDTH: Final = 220
_PANEL_HEIGHT: Final = 160
_MARGIN: Final = 48
_BAR_HEIGHT: Final = 16
_NAME_WIDTH: Final = 250
_BARS_WIDTH: Final = 480
_LARGEST_RATIO: Final = 8.0


@dataclass(frozen=True, slots=True)
class Panel:
    """One small chart: for each daemon a value at each place of the horizontal axis; None where there is none."""

    title: str
    places: Sequence[str]
    curves: dict[str, Sequence[Spread | None]]


@dataclass(frozen=True, slots=True)
class Bar:
    """A ratio, and the one that it must reach."""

    name: str
    ratio: Spread
    target: float | None


def draw_panels(title: str, panels: Sequence[Panel]) -> str:
    """Panels side by side, each with a vertical axis of its own that begins at 0."""
    width = _MARGIN + len(panels) * (_PANEL_WIDTH + _MARGIN)
    height = _PANEL_HEIGHT + 3 * _MARGIN
    parts = [_text(_MARGIN, 20, title, "title")]
    parts += [_text(width - 60 * (2 - i), 20, name, fill=colour) for i, (name, colour) in enumerate(_COLOURS.items())]
    for index, panel in enumerate(panels):
        parts.append(_draw_panel(panel, _MARGIN + index * (_PANEL_WIDTH + _MARGIN), 2 * _MARGIN))
    return _document(width, height, parts)


def draw_bars(title: str, bars: Sequence[Bar]) -> str:
    """A bar for each ratio, from 1 to its median on a logarithmic axis, with its range and a red mark at the target."""
    width, height = _NAME_WIDTH + _BARS_WIDTH + _MARGIN, (len(bars) + 3) * _BAR_HEIGHT + _MARGIN
    parts = [_text(12, 20, title, "title")]
    for ratio in (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0):
        x = _ratio_x(ratio)
        parts.append(_line(x, _MARGIN, x, height - _BAR_HEIGHT, "axis" if ratio == 1 else "grid"))
        parts.append(_text(x, _MARGIN - 6, f"{ratio:g}", "middle"))
    for index, bar in enumerate(bars):
        parts.append(_draw_bar(bar, _MARGIN + 4 + index * _BAR_HEIGHT))
    return _document(width, height, parts)


def _draw_panel(panel: Panel, left: float, top: float) -> str:
    most = max((value.most for curve in panel.curves.values() for value in curve if value), default=1) or 1
    step = _PANEL_WIDTH / max(len(panel.places), 1)
    bottom = top + _PANEL_HEIGHT
    parts = [_text(left, top - 12, panel.title, "title"), _line(left, bottom, left + _PANEL_WIDTH, bottom, "axis")]
    for share in (0.5, 1.0):
        y = bottom - share * _PANEL_HEIGHT
        parts += [_line(left, y, left + _PANEL_WIDTH, y, "grid"), _text(left - 4, y + 4, f"{share * most:.3g}", "end")]
    for index, place in enumerate(panel.places):
        parts.append(_text(left + (index + 0.5) * step, bottom + 18, place, "middle"))
    for name, curve in panel.curves.items():
        colour, points = _COLOURS[name], []
        for index, value in enumerate(curve):
            if value is None:
                continue
            x = left + (index + 0.5) * step
            y, low, high = (bottom - _PANEL_HEIGHT * each / most for each in (value.median, value.least, value.most))
            points.append(f"{x:.1f},{y:.1f}")
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
            parts.append(_line(x, low, x, high, stroke=colour))
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return "".join(parts)


def _draw_bar(bar: Bar, top: float) -> str:
    middle, low, high = map(_ratio_x, (bar.ratio.median, bar.ratio.least, bar.ratio.most))
    one, y = _ratio_x(1.0), top + _BAR_HEIGHT / 2
    rectangle = (
        f'<rect x="{min(one, middle):.1f}" y="{top + 2:.1f}" width="{abs(middle - one):.1f}" '
        f'height="{_BAR_HEIGHT - 4}" fill="{_COLOURS["ours"]}" fill-opacity="0.6"/>'
    )
    parts = [_text(_NAME_WIDTH - 8, top + 12, bar.name, "end"), rectangle, _line(low, y, high, y, stroke="#333")]
    if bar.target is not None:
        x = _ratio_x(bar.target)
        parts.append(_line(x, top + 1, x, top + _BAR_HEIGHT - 1, "target"))
    return "".join(parts)


def _ratio_x(ratio: float) -> float:
    share = math.log(min(max(ratio, 1 / _LARGEST_RATIO), _LARGEST_RATIO)) / math.log(_LARGEST_RATIO)
    return _NAME_WIDTH + _BARS_WIDTH * (share + 1) / 2


def _document(width: float, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}">'
    background = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, _STYLE, background, *parts, "</svg>\n"])


def _text(x: float, y: float, text: str, kind: str = "", fill: str = "") -> str:
    style = f' style="fill:{fill}"' if fill else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}"{style}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "", stroke: str = "") -> str:
    style = f' stroke="{stroke}"' if stroke else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"{style}/>'
