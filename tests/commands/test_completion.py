"""`usbmux completion`: each script in its shell, which asks the command, which asks the daemon."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import USBMUX, run
from tests.packaging.tools import tool
from usbmux.client.device import Device
from usbmux.commands.device_completion import complete_device, devices_soon, items
from usbmux.errors import DaemonUnavailableError
from usbmux.testing import RunningDaemon, SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

FIRST, SECOND = "00008030-001A2B3C4D5E6F01", "00008110-000A1D2E3F4B5C6D"
SHELLS = {
    # The words are given to the function as the shell does it when Tab is pressed.
    "bash": "source <(usbmux completion bash); COMP_WORDS=(%(words)s); COMP_CWORD=%(last)d; "
    "_usbmux_completion usbmux; printf '%%s\\n' \"${COMPREPLY[@]}\"",
    "zsh": "autoload -U compinit; compinit -D; source <(usbmux completion zsh); "
    'compadd() { print -rl -- "${(@P)5}" }; _describe() { print -rl -- "${(@P)3}" }; '
    "words=(%(words)s); CURRENT=%(last)d+1; _usbmux_completion",
    "fish": "usbmux completion fish | source; complete --do-complete '%(line)s'",
}
OPTIONS = {"bash": ["--norc", "-c"], "zsh": ["-f", "-c"], "fish": ["--no-config", "-c"]}
in_shells = pytest.mark.parametrize("shell", [pytest.param(name, marks=pytest.mark.interop) for name in SHELLS])


@pytest.fixture
def _command_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "bin/usbmux"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m usbmux "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningDaemon]:
    with RunningDaemon([SimulatedPhone(FIRST), SimulatedPhone(SECOND)]) as daemon:
        for name, value in daemon.environment.items():
            monkeypatch.setenv(name, value)
        yield daemon


def offered(shell: str, line: str) -> set[str]:
    """What a shell offers for the last word of a line; without its descriptions."""
    words = line.split(" ")
    quoted = " ".join(word or "''" for word in words)
    script = SHELLS[shell] % {"words": quoted, "last": len(words) - 1, "line": line}
    path = "bash" if shell == "bash" else tool(shell)
    outcome = asyncio.run(run((path, *OPTIONS[shell], script)))
    assert outcome.stderr == ""
    return {line.split("\t")[0].split(":")[0] for line in outcome.stdout.decode().splitlines() if line}


def offered_in_time(shell: str, line: str) -> set[str]:
    """What it offers if a daemon answers as soon as the shell wants, which a busy machine's need not at once."""
    for _attempt in range(20):
        if found := offered(shell, line):
            return found
    return set()


@in_shells
@pytest.mark.usefixtures("_command_in_path")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("usbmux d", {"demo", "doctor"}),
        ("usbmux env --for go", {"go-ios"}),
        ("usbmux completion ", {"bash", "zsh", "fish"}),
        ("usbmux connect --ud", {"--udid"}),
    ],
)
def test_shell_completes_commands_options_and_choices(shell: str, line: str, words: set[str]) -> None:
    assert offered(shell, line) == words


@in_shells
@pytest.mark.usefixtures("_command_in_path", "daemon")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("usbmux connect -u ", {FIRST, SECOND}),
        ("usbmux connect -u 00008110", {SECOND}),
        ("usbmux info --udid 1-", {"1-1", "1-2"}),
        ("usbmux capture -u 1-2", {"1-2"}),
    ],
)
def test_shell_completes_phones(shell: str, line: str, words: set[str]) -> None:
    assert offered_in_time(shell, line) == words


@pytest.mark.interop
@pytest.mark.usefixtures("_command_in_path")
@pytest.mark.parametrize("line", ["usbmux --socket %s info -u ", "usbmux info --socket %s -u "])
def test_phones_are_those_of_the_daemon_that_the_line_names(daemon: RunningDaemon, line: str, tmp_path: Path) -> None:
    with RunningDaemon([SimulatedPhone("0123")]) as other:
        assert offered_in_time("bash", line % other.address) == {"0123"}


def test_phone_is_described_by_its_port_and_a_port_by_its_phone() -> None:
    devices = [Device(1, FIRST, port_path="1-1"), Device(2, SECOND, port_path="1-2"), Device(3, "12AB")]

    def told(typed: str) -> list[tuple[str, str | None]]:
        return [(item.value, item.help) for item in items(devices, typed)]

    assert told("00008110") == [(SECOND, "at port 1-2")]
    assert told("1-2") == [("1-2", SECOND)]
    assert told("1") == [("1-1", FIRST), ("1-2", SECOND), ("12AB", None)]
    assert told("") == [(FIRST, "at port 1-1"), (SECOND, "at port 1-2"), ("12AB", None)]
    assert told("3") == []


@pytest.mark.parametrize("address", ["/nowhere/usbmuxd", "ftp://x"])
def test_nobody_to_ask_offers_nothing(address: str) -> None:
    assert complete_device(address, "") == []


def test_question_that_fails_or_takes_long_offers_nothing() -> None:
    def fail() -> list[Device]:
        raise DaemonUnavailableError("gone")

    assert devices_soon(fail) == []
    released = threading.Event()

    def dawdle() -> list[Device]:
        released.wait()
        return [Device(1, FIRST)]

    try:
        assert devices_soon(dawdle) == []  # and does not wait for it
    finally:
        released.set()


def test_reader_that_leaves_ends_it_quietly() -> None:
    script = '"$@" completion bash | true; exit "${PIPESTATUS[0]}"'
    outcome = asyncio.run(run(("bash", "-c", script, "bash", *USBMUX)))
    assert (outcome.code, outcome.stderr) == (0, "")
