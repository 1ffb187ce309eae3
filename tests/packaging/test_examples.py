"""What we give to other projects works with nothing but our wheel: every line for a shell is run.

Not run: what installs programs of the system, the actions of the service, and the build of the image itself.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.packaging.tools import PROJECT, tool
from tests.packaging.wheel import Environment, build_wheel
from tests.support.attached import wait_attached
from tests.support.process import ChildProcess
from usbmux import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = PROJECT / "examples"
WITHIN_S = 100


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    return Environment(tmp_path_factory.mktemp("environment") / "venv", wheel)


def workflow_steps() -> dict[str, str]:
    """The scripts of the workflow by name, in order; of YAML this reads just what the file has."""
    text = (EXAMPLES / "ci/github-workflow.yml").read_text(encoding="utf-8")
    steps = {}
    for step in text.partition("    steps:\n")[2].split("\n      - ")[1:]:
        if match := re.fullmatch(r"name: (.+)\n        run: (?:\|\n((?:          .+\n?)+)|(.+)\n?)", step):
            name, block, line = match.groups()
            steps[name] = line or re.sub(r"^ {10}", "", block, flags=re.MULTILINE)
        else:
            assert step.startswith("uses: "), step
    return steps


class Runner:
    """Runs scripts as the service does: one shell each, variables handed on by a file; what they leave ends at last."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self._folder = folder
        self._handed = folder / "handed"
        self._handed.touch()
        self._variables = variables | {"GITHUB_ENV": str(self._handed)}
        self._groups: list[int] = []

    def run(self, script: str) -> str:
        """What it prints."""
        handed = dict(line.split("=", 1) for line in self._handed.read_text().splitlines())
        with (self._folder / "errors").open("w+") as errors:
            process = subprocess.Popen(
                ["bash", "-e", "-o", "pipefail", "-c", script],
                cwd=self._folder,
                env=self._variables | handed,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            self._groups.append(process.pid)
            printed, _ = process.communicate(timeout=WITHIN_S)
            errors.seek(0)
            assert process.returncode == 0, printed + errors.read()
        return printed

    def end(self) -> None:
        for group in self._groups:
            try:
                os.killpg(group, signal.SIGTERM)
            except ProcessLookupError:  # it has left nothing
                continue


@pytest.fixture
def runner(tmp_path: Path, environment: Environment) -> Iterator[Runner]:
    folder = tmp_path / "project"
    shutil.copytree(EXAMPLES, folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    runner = Runner(folder, environment.variables)
    yield runner
    runner.end()


@pytest.mark.slow
@pytest.mark.interop
def test_workflow_runs_step_by_step(runner: Runner, environment: Environment) -> None:
    for name in ("ideviceinfo", "idevicepair", "idevice_id"):
        tool(name)
    scripts = workflow_steps()
    assert len(scripts) == 6
    printed = {name: runner.run(script) for name, script in scripts.items() if not script.startswith("sudo apt-get")}
    assert {"usbmux", "pip"} <= environment.packages
    assert "libusb1" not in environment.packages
    assert printed["Run one command with a virtual iPhone"] == "16.7.2\n"
    assert "2 passed" in printed["Run tests that take a virtual iPhone each"]
    assert len(printed["Use them"].splitlines()) == 2


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Containerfile, which has none of more than a line."""
    lines = (EXAMPLES / "Containerfile").read_text(encoding="utf-8").splitlines()
    split = [line.split(" ", 1) for line in lines if line and not line.startswith("#")]
    return [(name, rest) for name, rest in split]


def test_image_is_small_its_user_is_nobody_and_it_names_no_registry() -> None:
    names = [name for name, _ in instructions()]
    assert names == ["FROM", "ARG", "RUN", "RUN", "USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"]
    given = dict(instructions())
    assert re.fullmatch(r"python:3\.\d+-slim", given["FROM"])
    assert given["USER"] == "phones"
    assert f"0.0.0.0:{given['EXPOSE']}" in json.loads(given["ENTRYPOINT"])


@pytest.mark.slow
def test_image_command_serves_until_it_is_stopped(runner: Runner, environment: Environment) -> None:
    given = instructions()
    (install,) = (rest for name, rest in given if name == "RUN" and rest.startswith("pip "))
    (argument,) = (rest for name, rest in given if name == "ARG")
    runner.run(f"{argument}; {install}")
    entry, command = (json.loads(rest) for name, rest in given if name in ("ENTRYPOINT", "CMD"))
    # The image has the port to itself, and this machine does not.
    started = [word.replace("0.0.0.0:27015", "127.0.0.1:0") for word in [*entry, *command]]
    started[0] = str(shutil.which(started[0], path=environment.variables["PATH"]))
    with ChildProcess(started, environment=environment.variables) as process:
        address = process.wait_for_line("^# ready: (.*)").group(1)
        wait_attached(parse_address(address), 1)
        assert process.stop() == 0
