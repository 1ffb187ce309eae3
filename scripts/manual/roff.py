"""Writes manual pages in roff, with the macros of man(7)."""

import re
from collections.abc import Iterable

_SPECIAL = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}
_TAGGED = re.compile(r"([a-z][a-z ]*): +(\S.*)")
"""A line that begins a paragraph of its own, named by its first word, such as ``signals: ...``."""


def escaped(text: str) -> str:
    """Text that means itself anywhere in a line."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def bold(text: str) -> str:
    """For what is typed as it stands."""
    return f"\\fB{escaped(text)}\\fR"


def italic(text: str) -> str:
    """For what stands for something else."""
    return f"\\fI{escaped(text)}\\fR"


class Page:
    """A manual page under construction.

    Args:
        source: Program and version, for the foot of the page.
    """

    def __init__(self, name: str, section: int, source: str, summary: str) -> None:
        self._lines = [f'.TH "{escaped(name.upper())}" {section} "" "{escaped(source)}" ""', ".nh", ".ad l"]
        self.section("NAME")
        self._lines.append(f"{escaped(name)} \\- {escaped(summary)}")

    def section(self, title: str) -> None:
        """Begin a section."""
        self._lines.append(f".SH {escaped(title)}")

    def subsection(self, title: str) -> None:
        """Begin a part of a section."""
        self._lines.append(f".SS {escaped(title)}")

    def synopsis(self, name: str, usage: str) -> None:
        """A way to call a command."""
        self._lines += [".PP", f"{bold(name)} {escaped(usage)}".rstrip()]

    def entry(self, tag: str, text: str) -> None:
        """An item of a list: what it is about, in roff, and what there is to say."""
        self._lines += [".TP", tag, _line(text) if text else "\\&"]

    def text(self, text: str) -> None:
        """Paragraphs, separated by empty lines; indented lines stand as they are."""
        for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
            self._paragraph(paragraph.splitlines())

    def render(self) -> str:
        """The whole page."""
        return "\n".join(self._lines) + "\n"

    def _paragraph(self, lines: Iterable[str]) -> None:
        is_open = is_verbatim = False
        for line in lines:
            if line.startswith(" ") != is_verbatim:
                is_verbatim = not is_verbatim
                self._lines += [".PP", ".RS 4", ".nf"] if is_verbatim else [".fi", ".RE"]
                is_open = is_verbatim
            if tagged := _TAGGED.fullmatch(line):
                self._lines += [".TP", bold(tagged[1])]
                line, is_open = tagged[2], True
            if not is_open:
                self._lines.append(".PP")
                is_open = True
            self._lines.append(_line(line))
        if is_verbatim:
            self._lines += [".fi", ".RE"]


def _line(text: str) -> str:
    """A line of text that is no request, whatever it begins with."""
    line = escaped(text.strip())
    return f"\\&{line}" if line.startswith((".", "'")) else line
