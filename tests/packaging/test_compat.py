"""iproxy and inetcat are installed under these names by a distribution of their own, and by nothing else."""

from __future__ import annotations

import sys
import tomllib
import zipfile
from configparser import ConfigParser
from typing import TYPE_CHECKING

import pytest

from tests.packaging.tools import PROJECT, run
from tests.packaging.wheel import Environment
from usbmux import __version__

if TYPE_CHECKING:
    from pathlib import Path

COMPAT = PROJECT / "packaging/compat"
NAMES = {"iproxy", "inetcat"}


def commands_in(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
        parser = ConfigParser()
        parser.read_string(archive.read(name).decode())
    return dict(parser["console_scripts"])


def built(project: Path, folder: Path) -> Path:
    outcome = run(
        "env", "-C", project, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, within_s=100
    )
    assert outcome.returncode == 0, outcome.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_versions_are_those_of_usbmux() -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["compat"] == [f"usbmux-compat=={__version__}"]
    project = tomllib.loads((COMPAT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    assert project["dependencies"] == [f"usbmux=={__version__}"]


@pytest.mark.slow
def test_usbmux_itself_installs_neither_name(tmp_path: Path) -> None:
    assert not NAMES & commands_in(built(PROJECT, tmp_path)).keys()


@pytest.mark.slow
def test_extra_is_asked_for_both_names_are_our_commands(tmp_path: Path) -> None:
    compat, usbmux = built(COMPAT, tmp_path / "compat"), built(PROJECT, tmp_path / "usbmux")
    assert commands_in(compat).keys() == NAMES
    assert {name.partition("/")[0] for name in zipfile.ZipFile(compat).namelist()} == {
        f"usbmux_compat-{__version__}.dist-info"
    }
    environment = Environment(tmp_path / "environment", usbmux)
    links = {"PIP_FIND_LINKS": f"{usbmux.parent} {compat.parent}"}
    outcome = run("env", *pairs(environment.variables | links), "python", "-m", "pip", "install", "usbmux[compat]")
    assert outcome.returncode == 0, outcome.stderr
    assert {"usbmux", "usbmux_compat"} <= environment.packages
    for name in NAMES:
        outcome = run("env", *pairs(environment.variables), name, "-v")
        assert outcome.stdout == f"{name} (usbmux {__version__})\n", outcome.stderr


def pairs(variables: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]
