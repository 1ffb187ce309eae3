"""The workflow for other systems names only what there is; of YAML this reads just what the file has."""

from __future__ import annotations

import os
import re
import tomllib
from typing import Final

from tests.packaging.tools import PROJECT

TEXT: Final = (PROJECT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
RUNS: Final = re.findall(r"^ +run: (\S.*)$", TEXT, re.MULTILINE)


def listed(key: str) -> list[str]:
    """A list of the matrix."""
    (found,) = re.findall(rf"^ +{key}: \[(.*)\]$", TEXT, re.MULTILINE)
    return [word.strip(' "') for word in found.split(",")]


def test_indentation_is_regular_and_every_step_is_read() -> None:
    lines = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
    assert all((len(line) - len(line.lstrip(" "))) % 2 == 0 and "\t" not in line for line in lines)
    assert all(re.fullmatch(r" *(- )?([a-z-]+:( \S.*)?)", line) for line in lines), lines
    assert len(RUNS) + TEXT.count("- uses: ") == len(re.findall(r"^      - ", TEXT, re.MULTILINE))


def test_every_promised_python_and_system_is_in_the_matrix() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = [name.rpartition(" ")[2] for name in project["classifiers"] if re.search(r":: 3\.\d+$", name)]
    assert listed("python") == promised
    assert listed("system") == ["ubuntu-latest", "macos-latest", "windows-latest"]


def test_every_command_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for run in RUNS:
        program, *arguments = run.split()
        if program == "make":
            assert set(arguments) <= targets, run
        elif program != "python":
            assert os.access(PROJECT / program, os.X_OK), run
        for path in re.findall(r"requirements/\S+", run):
            assert (PROJECT / path).is_file(), run


def test_no_registry_is_named_and_actions_have_versions() -> None:
    assert "://" not in TEXT
    assert re.findall(r"uses: (\S+)", TEXT) == ["actions/checkout@v4", "actions/setup-python@v5"] * 2


def test_every_test_that_runs_everywhere_is_there() -> None:
    for script in ("test-portable", "test-pythons", "test-selectors"):
        text = (PROJECT / "scripts" / script).read_text(encoding="utf-8")
        for path in re.findall(r"(?<!\S)tests/[\w/.]+", text):
            assert (PROJECT / path).exists(), (script, path)
