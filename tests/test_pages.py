"""docs/testing.md and docs/security.md name tests; they must be there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECTION = "## Known defects of the field"


def table_rows() -> list[list[str]]:
    page = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    section = page.split(SECTION)[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| B")]
    return [[cell.strip() for cell in row] for row in rows]


def names_in(path: Path) -> set[str]:
    return set(re.findall(r"^(?:async )?def (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_known_defects_are_all_in_the_table_with_a_test_each() -> None:
    rows = table_rows()
    assert [row[0] for row in rows] == [f"B{number}" for number in range(1, 17)]
    assert all(all(row) and "::test_" in row[3] for row in rows)


def test_known_defects_name_only_tests_that_exist() -> None:
    named = [test for row in table_rows() for test in re.findall(r"`([^`]+)`", row[3])]
    missing = []
    for test in named:
        path, _, name = test.partition("::")
        if not (ROOT / path).is_file() or name not in names_in(ROOT / path):
            missing.append(test)
    assert missing == []


def test_security_page_names_only_tests_that_exist() -> None:
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    there = set().union(*(names_in(path) for path in (ROOT / "tests").rglob("test_*.py")))
    assert len(named) > 40
    assert named - there == set()
