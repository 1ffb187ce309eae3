"""The command lines of a page in Markdown, and what the page says of each.

Blocks for a shell are fenced as `console` (prompts, and what is printed) or `shell` (a command a line). A comment right
before a block speaks of all its commands, or of those that begin with one of the texts behind the colon:

    <!-- not run (REASON) -->             <!-- not run (REASON): usbmuxd; pip -->
    <!-- until Ctrl-C -->                 <!-- until Ctrl-C: usbmux watch; tcprelay -->
    <!-- left running -->                 <!-- left running: usbmux forward -->

The first says why the tests do not run them; the second are interrupted when they have printed something; the third go
on beside what follows on the page. `<!-- ports: 2222 8080 -->` anywhere names numbers for which the tests may put ports
that are free.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"(?P<directives>(?:^<!-- (?:not run|until Ctrl-C|left running)[^\n]* -->\n)*)"
    r"^(?P<fence>```+)(?P<language>\S*)[^\n]*\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_NOT_RUN = re.compile(r"<!-- not run \((?P<reason>[^)]+)\)(?:: (?P<beginnings>.+))? -->")
_ENDLESS = re.compile(r"<!-- (?P<end>until Ctrl-C|left running)(?:: (?P<beginnings>.+))? -->")


class End(Enum):
    """When a command line ends."""

    ITSELF = "itself"
    INTERRUPTED = "until Ctrl-C"
    PAGE = "left running"


@dataclass(frozen=True, slots=True)
class Command:
    """A command line and what becomes of it."""

    text: str
    printed: str | None
    """What the page shows of its output; None where it shows nothing."""
    reason_not_run: str | None = None
    end: End = End.ITSELF


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    language: str
    text: str
    directives: tuple[str, ...]

    @property
    def commands(self) -> list[Command]:
        """Those of a block for a shell, in order."""
        match self.language:
            case "console":
                steps = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
                return [self._command(*_parted(step)) for step in steps]
            case "shell":
                lines = [line for line in self.text.splitlines() if line and not line.startswith("#")]
                return [self._command(line, None) for line in lines]
            case _:
                return []

    def _command(self, line: str, printed: str | None) -> Command:
        reason, end = None, End.ITSELF
        for directive in self.directives:
            if (found := _NOT_RUN.fullmatch(directive)) and _speaks_of(line, found["beginnings"]):
                reason = found["reason"]
            if (found := _ENDLESS.fullmatch(directive)) and _speaks_of(line, found["beginnings"]):
                end = End(found["end"])
        return Command(line, printed, reason, end)


def pages() -> list[str]:
    """The paths of all pages, from the root of the project."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [file.relative_to(ROOT).as_posix() for file in files]


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page."""
    return [
        Block(found["language"], found["text"], tuple(found["directives"].splitlines()))
        for found in _BLOCK.finditer(text)
    ]


def ports(text: str) -> list[int]:
    """The numbers for which free ports may be put."""
    return [int(number) for line in re.findall(r"<!-- ports: ([\d ]+) -->", text) for number in line.split()]


def shown_as(printed: str) -> re.Pattern[str]:
    """What output must look like: `...` stands for any part of a line, on a line of its own for any lines."""
    lines = []
    for line in printed.splitlines(keepends=True):
        if line == "...\n":
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(".*".join(re.escape(part) for part in line.split("...")))
    return re.compile("".join(lines))


def _parted(step: str) -> tuple[str, str]:
    command, _, printed = step.partition("\n")
    while command.endswith("\\"):
        more, _, printed = printed.partition("\n")
        command = f"{command[:-1]}{more}"
    return command, printed


def _speaks_of(line: str, beginnings: str | None) -> bool:
    return beginnings is None or any(line.startswith(beginning) for beginning in beginnings.split("; "))
