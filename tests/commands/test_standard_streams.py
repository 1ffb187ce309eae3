"""Standard streams that take nothing, as on a full disk, and those that were closed by whoever began the program."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

import pytest

from tests.commands.program import TCPRELAY, USBMUX
from tests.support.daemon import clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WITHIN_S: Final = 30.0
USBMUXD: Final = (sys.executable, "-m", "usbmux.commands.usbmuxd")
IPROXY: Final = (sys.executable, "-m", "usbmux.commands.iproxy")
FULL: Final = "/dev/full"
pytestmark = pytest.mark.skipif(not os.path.exists(FULL), reason="plays a full disk")


@contextmanager
def started(*command: str, stderr: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """A program that runs until it is told to end."""
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def environment() -> dict[str, str]:
    # With it nothing is left to be written at the end.
    return {name: value for name, value in clean_environment().items() if name != "PYTHONUNBUFFERED"}


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


def test_stderr_is_full_forwarder_serves_on_and_ends_well() -> None:
    with open(FULL, "w") as stderr, started(*TCPRELAY, "22:0", stderr=stderr) as forwarder:
        assert forwarder.stdout is not None
        assert forwarder.stdout.readline().startswith("listening ")
        forwarder.terminate()
        assert forwarder.wait(WITHIN_S) == 0
