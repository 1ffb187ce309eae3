"""The list of cases in docs/conformance.md is that of the code; USBMUX_WRITE_DOCS=1 writes it."""

from __future__ import annotations

import os
import re
from itertools import groupby
from pathlib import Path

from usbmux.testing.conformance import CASES, Case, Need

DOCUMENT = Path(__file__).parents[3] / "docs/conformance.md"
HEADING = "## Cases\n"
NEEDS = {
    Need.PHONE: "needs a phone",
    Need.ECHO: "needs an echo",
    Need.UNEVEN_ECHO: "needs an echo at a port whose two bytes differ",
    Need.WRITES: "not with `--read-only`",
}


def group_of(case: Case) -> str:
    return case.name.split(".")[0]


def row(case: Case) -> str:
    needs = "".join(f"; {NEEDS[need]}" for need in sorted(case.needs, key=lambda need: need.name))
    expected = " or ".join(f"`{answer}`" for answer in case.expected)
    return f"| {case.name} | {case.stimulus}{needs} | {expected} | {case.source} |"


def listed() -> str:
    lines = [f"{len(CASES)} cases, in the order in which they run.", ""]
    for group, cases in groupby(CASES, group_of):
        lines += [f"### {group}", "", "| case | stimulus | expected | from |", "| --- | --- | --- | --- |"]
        lines += [*map(row, cases), ""]
    return "\n".join(lines)


def test_document_lists_the_cases_of_the_code() -> None:
    prose, _, old = DOCUMENT.read_text(encoding="utf-8").partition(HEADING)
    if os.environ.get("USBMUX_WRITE_DOCS") == "1":
        DOCUMENT.write_text(f"{prose}{HEADING}\n{listed()}", encoding="utf-8")
    else:
        assert old == f"\n{listed()}"


def test_names_are_different_and_in_one_form() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(-[a-z]+)*\.[a-z0-9]+(-[a-z0-9]+)*", name)] == []


def test_cases_all_say_what_they_do_and_expect() -> None:
    for case in CASES:
        assert case.stimulus, case
        assert case.source, case
        assert case.expected, case
        assert "|" not in row(case)[1:-1].replace(" | ", ""), case


def test_cases_cover_every_request() -> None:
    stimuli = " ".join(case.stimulus for case in CASES)
    for name in ("Listen", "ListDevices", "ListListeners", "Connect", "ReadBUID", "ReadPairRecord", "SavePairRecord"):
        assert name in stimuli
    assert "DeletePairRecord" in stimuli
