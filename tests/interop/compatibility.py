"""The table of docs/compatibility.md: what was run, and what came out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
# Compatibility

Programs that nobody here wrote, unmodified, against `usbmuxd --simulate`, through `tcprelay` and `usbmux`, or with a
virtual iPhone (`usbmux.testing.iphone`) behind our daemon. The interop tests check each line; `USBMUX_WRITE_DOCS=1 make
test` writes this file.

| client | version | command | result |
| --- | --- | --- | --- |
"""


@dataclass(order=True, frozen=True, slots=True)
class Row:
    client: str
    version: str
    command: str
    result: str


@dataclass(slots=True)
class CompatibilityTable:
    rows: set[Row] = field(default_factory=set)

    def add(self, client: str, version: str, command: str, result: str) -> None:
        """Notes a run that has passed; `command` is in words that do not change from run to run."""
        self.rows.add(Row(client, version, command, result))

    def write(self, path: Path) -> None:
        lines = [f"| {row.client} | {row.version} | `{row.command}` | {row.result} |" for row in sorted(self.rows)]
        path.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
