"""Standard streams that take nothing, as on a full disk, and those that were closed by whoever began the program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

import pytest

from tests.commands.program import TCPRELAY, USBMUX
from tests.support.daemon import clean_environment
from usbmux.capture.output import open_output
from usbmux.commands.capture_file import opened
from usbmux.errors import UsbmuxError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WITHIN_S: Final = 30.0
USBMUXD: Final = (sys.executable, "-m", "usbmux.commands.usbmuxd")
IPROXY: Final = (sys.executable, "-m", "usbmux.commands.iproxy")
FULL: Final = "/dev/full"
CLOSED: Final = ("sh", "-c", 'exec "$@" >&-', "sh")
"""Begins a program without a stdout."""
on_full_disk = pytest.mark.skipif(not os.path.exists(FULL), reason="plays a full disk")


@contextmanager
def started(*command: str, stderr: IO[str] | int) -> Iterator[subprocess.Popen[str]]:
    """A program that runs until it is told to end."""
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def environment() -> dict[str, str]:
    # With it nothing is left to be written at the end.
    return {name: value for name, value in clean_environment().items() if name != "PYTHONUNBUFFERED"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment(), capture_output=True, check=False, text=True, timeout=WITHIN_S)


@on_full_disk
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ((*USBMUX, "--socket", "/none", "list"), 4),
        ((*USBMUX, "nonsense"), 2),
        ((*USBMUXD, "--nonsense"), 2),
        ((*IPROXY, "nonsense"), 2),
    ],
    ids=["list", "usbmux", "usbmuxd", "iproxy"],
)
def test_stderr_is_full_program_ends_with_its_own_code(command: tuple[str, ...], code: int) -> None:
    with open(FULL, "w") as stderr:
        assert (
            subprocess.run(command, env=environment(), stderr=stderr, check=False, timeout=WITHIN_S).returncode == code
        )


@pytest.mark.slow
@on_full_disk
@pytest.mark.parametrize("options", [(), ("-v",), ("-l", "log")], ids=["ready", "log", "logfile"])
def test_stderr_is_full_daemon_serves_on_and_ends_well(tmp_path: Path, options: tuple[str, ...]) -> None:
    places = ["-S", str(tmp_path / "mux"), "-C", str(tmp_path / "records"), "--config", "NONE"]
    options = tuple(str(tmp_path / each) if each == "log" else each for each in options)
    with (
        open(FULL, "w") as stderr,
        started(*USBMUXD, "-f", *places, "--simulate", "--trace", "-", *options, stderr=stderr) as daemon,
    ):
        assert daemon.stdout is not None
        assert daemon.stdout.readline()  # of the phone, which is there before it is ready
        daemon.terminate()
        assert daemon.wait(WITHIN_S) == 0


@on_full_disk
def test_stderr_is_full_forwarder_serves_on_and_ends_well() -> None:
    with open(FULL, "w") as stderr, started(*TCPRELAY, "22:0", stderr=stderr) as forwarder:
        assert forwarder.stdout is not None
        assert forwarder.stdout.readline().startswith("listening ")
        forwarder.terminate()
        assert forwarder.wait(WITHIN_S) == 0


HELP: Final = [
    (*USBMUX, "--help"),
    (*USBMUX, "list", "--help"),
    (*USBMUX, "--version"),
    (*USBMUX, "version"),
    (*USBMUX, "env"),
    (*USBMUXD, "--help"),
    (*USBMUXD, "--check-config", "--config", "NONE"),
    (*TCPRELAY, "--help"),
]
"""What only prints."""


@on_full_disk
@pytest.mark.parametrize("command", HELP, ids=lambda command: " ".join(command[-2:]))
def test_stdout_is_full_program_says_so_and_fails(command: tuple[str, ...]) -> None:
    with open(FULL, "w") as stdout:
        outcome = subprocess.run(
            command, env=environment(), stdout=stdout, stderr=subprocess.PIPE, check=False, text=True, timeout=WITHIN_S
        )
    assert outcome.returncode == 1
    assert re.fullmatch(r"(usbmux|usbmuxd|tcprelay): No space left on device\n", outcome.stderr)


@pytest.mark.parametrize("command", HELP, ids=lambda command: " ".join(command[-2:]))
def test_reader_of_stdout_has_left_program_ends_well(command: tuple[str, ...]) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    with open(writable, "wb") as stdout:
        outcome = subprocess.run(
            command, env=environment(), stdout=stdout, stderr=subprocess.PIPE, check=False, text=True, timeout=WITHIN_S
        )
    assert (outcome.returncode, outcome.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    [(*TCPRELAY, "22:0"), *((*USBMUX, "forward", *options, "0:22") for options in ([], ["--json"], ["--print-ready"]))],
    ids=["tcprelay", "lines", "json", "ready"],
)
def test_stdout_is_closed_forwarder_serves_without(command: tuple[str, ...]) -> None:
    with started(*CLOSED, *command, stderr=subprocess.PIPE) as forwarder:
        assert forwarder.stderr is not None
        assert " leads to port 22 " in forwarder.stderr.readline()
        forwarder.terminate()
        _, said = forwarder.communicate(timeout=WITHIN_S)
        assert forwarder.returncode == 0
        assert "Traceback" not in said


def test_stdout_is_closed_doctor_tells_the_sum() -> None:
    outcome = run(*CLOSED, *USBMUX, "doctor")
    assert outcome.returncode in (0, 1)
    assert outcome.stderr.startswith("usbmux: ")
    assert outcome.stderr.count("\n") == 1


@pytest.mark.slow
def test_stdout_is_closed_demo_does_what_it_would_show() -> None:
    outcome = run(*CLOSED, *USBMUX, "demo")
    assert (outcome.returncode, outcome.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    [(*USBMUX, "capture"), (*USBMUX, "capture", "-w", "-"), (*USBMUXD, "--trace", "-")],
    ids=["lines", "capture", "trace"],
)
def test_stdout_is_closed_what_is_for_stdout_is_refused_as_usage(command: tuple[str, ...]) -> None:
    outcome = run(*CLOSED, *command)
    assert outcome.returncode == 2
    assert "open" in outcome.stderr.splitlines()[-1]


def test_stdout_is_closed_it_cannot_be_opened_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(UsbmuxError, match="it is closed"):
        open_output("-")
    with pytest.raises(UsbmuxError, match="it is closed"), opened("-"):
        pass


def test_stderr_is_closed_stdout_does_not_get_its_lines() -> None:
    outcome = run("sh", "-c", 'exec "$@" 2>&-', "sh", *USBMUX, "--socket", "/none", "list")
    assert (outcome.returncode, outcome.stdout) == (4, "")
