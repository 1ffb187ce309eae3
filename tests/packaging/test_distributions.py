"""What is published: the wheel and the source distribution, and what an installation without extras brings."""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from typing import TYPE_CHECKING

import pytest

from tests.packaging.tools import PROJECT, missing, run
from tests.packaging.wheel import build_wheel, run_in_project
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from usbmux.testing import RunningDaemon, SimulatedPhone

if TYPE_CHECKING:
    from pathlib import Path

JUDGES = PROJECT / ".build/packaging/bin"
SOURCE = PROJECT / "src"
PROMISED_EXTRAS = {"cli", "compat", "daemon", "fleet", "metrics", "testing", "tui"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def source_distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    assert run_in_project(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder) == ""
    (archive,) = folder.glob("*.tar.gz")
    return archive


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.interop
def test_judges_find_nothing_wrong(wheel: Path, source_distribution: Path) -> None:
    if not JUDGES.exists():
        missing("twine and check-wheel-contents are not installed", "scripts/provision-interop")
    for command in ((JUDGES / "twine", "check", "--strict", wheel, source_distribution),
                    (JUDGES / "check-wheel-contents", wheel)):  # fmt: skip
        outcome = run(*command)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_wheel_holds_all_of_the_package_and_nothing_else(wheel: Path) -> None:
    files = (path for path in (SOURCE / "usbmux").rglob("*") if path.is_file() and path.suffix != ".pyc")
    expected = {str(path.relative_to(SOURCE)) for path in files}
    assert {name for name in names_in(wheel) if ".dist-info/" not in name} == expected
    assert "usbmux/py.typed" in expected


def test_dependencies_are_those_of_extras_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert set(metadata.get_all("Provides-Extra", [])) >= PROMISED_EXTRAS
    assert metadata["Requires-Python"] == ">=3.11"
    requirements = metadata.get_all("Requires-Dist", [])
    assert requirements
    assert [text for text in requirements if not re.search(r"; extra == '\w+'$", text)] == []
    by_extra = {
        extra: set(re.findall(rf"^(.*); extra == '{extra}'$", "\n".join(requirements), re.M))
        for extra in PROMISED_EXTRAS
    }
    assert by_extra["fleet"] == by_extra["cli"] | by_extra["daemon"] | by_extra["metrics"] != set()


def test_wheel_made_from_the_source_distribution_is_the_same(
    wheel: Path, source_distribution: Path, tmp_path: Path
) -> None:
    with tarfile.open(source_distribution) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    made = tmp_path / "made"
    outcome = run("env", "-C", tree, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", made)
    assert outcome.returncode == 0, outcome.stderr
    (again,) = made.glob("*.whl")
    assert names_in(again) == names_in(wheel)


@pytest.mark.slow
def test_every_test_of_the_source_distribution_can_be_collected(source_distribution: Path, tmp_path: Path) -> None:
    with tarfile.open(source_distribution) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    collect = (sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider")
    outcome = run("env", "-C", tree, *collect, environment={"PYTHONPATH": str(tree / "src")}, within_s=100)
    assert outcome.returncode == 0, outcome.stdout[-2000:]


def test_source_distribution_holds_all_that_the_project_is_made_of(source_distribution: Path) -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("this is no repository")
    tracked = run("git", "-C", PROJECT, "ls-files").stdout.splitlines()
    with tarfile.open(source_distribution) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in tracked if (PROJECT / name).exists()} - names == set()


@pytest.mark.slow
def test_installed_without_extras_client_and_simulated_phones_work(wheel: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    python = bare / "bin/python"
    for command in (
        (sys.executable, "-m", "venv", bare),
        (python, "-m", "pip", "install", "--no-index", "--find-links", wheel.parent, "usbmux"),
    ):
        outcome = run(*command, environment={"PIP_FIND_LINKS": ""}, within_s=100)
        assert outcome.returncode == 0, outcome.stderr
    installed = {path.name.partition("-")[0] for path in bare.glob("lib/python*/site-packages/*.dist-info")}
    assert installed - {"pip", "setuptools"} == {"usbmux"}

    ask = "from usbmux import Client; print(*[phone.udid for phone in Client().devices()])"
    refused = run(bare / "bin/usbmux", "list")
    assert (refused.returncode, refused.stderr) == (1, "usbmux: this command needs click: pip install 'usbmux[cli]'\n")
    with RunningDaemon([SimulatedPhone()]) as daemon:
        asked = run(python, "-I", "-W", "error", "-c", ask, environment=daemon.environment)
    assert (asked.stdout, asked.stderr) == (f"{SimulatedPhone().udid}\n", "")

    served = [
        str(bare / "bin/usbmuxd"),
        "-f",
        "-S",
        "127.0.0.1:0",
        "-C",
        str(tmp_path),
        "--config",
        "NONE",
        "--simulate",
    ]
    with ChildProcess(served, environment=clean_environment()) as process:
        address = process.wait_for_line(r"^usbmuxd ready: (127\.0\.0\.1:\d+)")[1]
        asked = run(python, "-I", "-c", ask, environment={"USBMUXD_SOCKET_ADDRESS": address})
    assert asked.stdout.strip()
