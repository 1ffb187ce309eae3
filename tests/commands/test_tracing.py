"""The daemon's options for traces: what they refuse, and what they do when the disk does."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.usbmuxd import COMMAND
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from tests.support.streams import echoed
from usbmux import Client
from usbmux.commands.usbmuxd import read_choices
from usbmux.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("option", ["--trace", "--capture", "--record"])
def test_file_cannot_be_made_daemon_is_refused_with_one_line(tmp_path: Path, option: str) -> None:
    command = [*COMMAND, "-S", str(tmp_path / "usbmuxd"), "--simulate", option, str(tmp_path / "missing/file")]
    refused = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 1
    assert refused.stderr == f"usbmuxd: cannot write {tmp_path}/missing/file: No such file or directory\n"


def test_two_traces_to_one_place_are_refused_as_usage(tmp_path: Path) -> None:
    command = [*COMMAND, "-S", str(tmp_path / "usbmuxd"), "--simulate", "--trace", "-", "--capture", "-"]
    refused = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 2
    assert refused.stderr.endswith("error: two traces cannot be written to one file\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--trace", "trace", "--record", "./trace"], "two traces cannot be written to one file"),
        (["--trace", "../here/log", "--logfile", "log"], "a trace cannot be written to the file of the log"),
    ],
)
def test_two_spellings_of_one_file_are_refused_as_usage(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    complaint: str,
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(SystemExit, match="2"):
        read_choices(["--config", "NONE", *arguments])
    assert f"error: {complaint}\n" in capsys.readouterr().err


def test_trace_to_standard_output_of_a_daemon_in_the_background_is_refused_as_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        read_choices(["--config", "NONE", "--capture", "-"])
    assert "error: a trace on the standard output needs --foreground" in capsys.readouterr().err
    configuration = tmp_path / "usbmuxd.toml"
    configuration.write_text('trace = "-"\n')
    with pytest.raises(ConfigurationError, match=f"^{configuration}: a trace on the standard output needs"):
        read_choices(["--config", str(configuration)])
    assert read_choices(["--config", str(configuration), "-f"]).options.trace == "-"


@pytest.mark.parametrize("option", ["--trace", "--capture", "--record"])
def test_disk_is_full_daemon_says_so_once_and_serves(tmp_path: Path, option: str) -> None:
    path = tmp_path / "usbmuxd"
    command = [*COMMAND, "-S", str(path), "--simulate", option, "/dev/full"]
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        assert echoed(Client(str(path)).connect(None, 7), b"word") == b"word"
        assert process.stop() == 0
    assert process.output.count("/dev/full: No space left on device; nothing more is written to it") == 1
    assert "Traceback" not in process.output


def test_trace_to_standard_output_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "usbmuxd"
    command = [*COMMAND, "-p", "-S", str(path), "--simulate", "--trace", "-"]
    with ChildProcess(command, environment=clean_environment()) as process:
        for _ in range(2):  # in either order: one comes by a thread
            process.wait_for_line(r" in  VERSION 2\.0$|^usbmuxd ready")
        assert echoed(Client(str(path)).connect(None, 7), b"word") == b"word"
        process.wait_for_line(r" in  7 > 1: \[\.\] seq \d+:\d+ ack 5 win \d+ length 4 \(tx \d+ rx \d+\)$")
        assert process.stop() == 0
