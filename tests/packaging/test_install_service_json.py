"""`usbmux install-service --json`; what is done, and when, shows test_install_service.py."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.daemon import clean_environment
from usbmux.commands.service_actions import KeepFile, MakeDirectory, RunStep, carry_out
from usbmux.commands.service_layout import SYSTEMD, Step
from usbmux.commands.service_report import JsonReport
from usbmux.commands.usbmux import main

if TYPE_CHECKING:
    from pathlib import Path

UNIT = "etc/systemd/system/usbmuxd.service"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="services are installed on POSIX systems only")


@pytest.fixture(autouse=True)
def _on_linux(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("bin")
    (folder / "usbmuxd").touch()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sysconfig, "get_path", {"scripts": str(folder)}.__getitem__)


def run(root: Path, *options: str) -> int:
    return main(["install-service", "--root", str(root), *options])


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What stdout got, which is one document."""
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert list(value) == ["is_dry_run", "actions", "left"]
    return value


def test_fresh_install_tells_each_action_and_what_was_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--json") == 0

    told = document(capsys)
    assert (told["is_dry_run"], told["left"]) == (False, None)
    actions = told["actions"]
    assert actions[0] == {"action": "make_directory", "path": str(tmp_path / "etc"), "is_done": True}
    assert {"action": "write_file", "path": str(tmp_path / UNIT), "is_done": True} in actions
    assert actions[-5] == {
        "action": "leave_out",
        "command": ["systemctl", "daemon-reload"],
        "reason": "it is for another root",
        "is_done": True,
    }
    assert (tmp_path / UNIT).exists()


@pytest.mark.parametrize("options", [(), ("--uninstall",)])
def test_dry_run_tells_the_same_and_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    if options:
        run(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    capsys.readouterr()

    assert run(tmp_path, "--dry-run", "--json", *options) == 0

    planned = document(capsys)
    assert sorted(tmp_path.rglob("*")) == before
    assert (planned["is_dry_run"], planned["left"]) == (True, None)
    assert not any(action["is_done"] for action in planned["actions"])
    run(tmp_path, "--json", *options)
    done = document(capsys)["actions"]
    assert planned["actions"] == [{**action, "is_done": False} for action in done]
    assert all(action["is_done"] for action in done)


def test_uninstall_tells_what_was_kept_and_what_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path)
    (tmp_path / UNIT).write_text("[Service]\n")
    capsys.readouterr()

    assert run(tmp_path, "--uninstall", "--json") == 0

    told = document(capsys)
    kept = {"action": "keep_file", "path": str(tmp_path / UNIT), "reason": "changed by hand", "is_done": True}
    assert kept in told["actions"]
    assert {action["action"] for action in told["actions"]} == {
        *("leave_out", "remove_file", "keep_file", "remove_directory_if_empty"),
    }
    assert told["left"] == SYSTEMD.left


def test_nothing_installed_uninstall_has_no_actions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--uninstall", "--json") == 0
    assert document(capsys) == {"is_dry_run": False, "actions": [], "left": None}


def test_file_in_the_way_there_is_no_document_but_a_complaint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / UNIT).parent.mkdir(parents=True)
    (tmp_path / UNIT).write_text("[Service]\n")

    assert run(tmp_path, "--json") == 1

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "usbmux: not written by usbmux, or changed by hand since; move away first: " in printed.err


def test_directory_cannot_be_made_document_ends_with_it_and_exit_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/sysusers.d").symlink_to("missing")

    assert run(tmp_path, "--json") == 1

    printed = capsys.readouterr()
    told = json.loads(printed.out)
    *done, failed = told["actions"]
    assert failed == {"action": "make_directory", "path": str(tmp_path / "etc/sysusers.d"), "is_done": False}
    assert done
    assert all(action["is_done"] for action in done)
    assert told["left"] is None
    assert printed.err.endswith(f"usbmux: {tmp_path}/etc/sysusers.d: File exists\n")


def test_program_fails_it_is_not_done_and_what_follows_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = JsonReport(is_dry_run=False)
    steps = [RunStep(Step(("false",))), RunStep(Step(("false",), may_fail=True)), RunStep(Step(("true",)))]

    is_well = carry_out("usbmux", [*steps, MakeDirectory(tmp_path / "made"), KeepFile(tmp_path, "why")], report)
    report.close(None)

    assert not is_well
    actions = document(capsys)["actions"]
    assert [action["is_done"] for action in actions] == [False, True, True, True, True]
    assert actions[2] == {"action": "run", "command": ["true"], "is_done": True}


@pytest.mark.slow
@pytest.mark.parametrize("has_terminal", [False, True])
def test_process_is_asked_stdout_has_the_document_alone(tmp_path: Path, has_terminal: bool) -> None:
    command = [sys.executable, "-m", "usbmux", "install-service", "--uninstall", "--root", str(tmp_path), "--json"]
    ours, theirs = pty.openpty() if has_terminal else os.pipe()
    done = subprocess.run(
        command, stdout=theirs, stderr=subprocess.PIPE, env=clean_environment(), timeout=60, check=False
    )
    told = os.read(ours, 4096)
    os.close(theirs)
    os.close(ours)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(told) == {"is_dry_run": False, "actions": [], "left": None}
