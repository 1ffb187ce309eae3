"""What stands on a screen that Textual has drawn, line by line."""

from __future__ import annotations

import re
from xml.etree import ElementTree

_CELL_WIDTH = 12.2
"""Of the drawing; only the order of the words depends on it."""
_TEXT = "{http://www.w3.org/2000/svg}text"


def lines_of(drawing: str) -> list[str]:
    """The lines without the spaces at their ends."""
    lines: dict[int, str] = {}
    for element in ElementTree.fromstring(drawing).iter(_TEXT):
        found = re.search(r"-line-(\d+)\)$", element.get("clip-path", ""))
        if found is None:
            continue  # the title
        number, column = int(found[1]), round(float(element.get("x", "0")) / _CELL_WIDTH)
        lines[number] = lines.get(number, "").ljust(column) + (element.text or "").replace("\xa0", " ")
    return [lines.get(number, "").rstrip() for number in range(max(lines, default=-1) + 1)]
