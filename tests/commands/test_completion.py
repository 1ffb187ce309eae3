"""`usbmux completion`: each script in its shell, which asks the command, which asks the daemon."""

from __future__ import annotations

import asyncio
import shlex
import threading
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import TCPRELAY, USBMUX, run
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
    "_%(program)s_completion %(program)s; printf '%%s\\n' \"${COMPREPLY[@]}\"",
    # An interactive shell on a terminal, where Tab is pressed, and ^G to know what stands in the line then.
    "zsh": "zmodload zsh/zpty; zpty shell zsh -d -i; zpty -w -n shell '%(line)s'$'\\t\\a'; "
    'while zpty -r shell piece; do :; done; cat "$ZDOTDIR/line"',
    "fish": "usbmux completion fish | source; complete --do-complete '%(line)s'",
}
ZSHRC = """
autoload -U compinit; compinit -D -u
source <(usbmux completion zsh)
insert_all() { compstate[insert]=all }
comppostfuncs=(insert_all)
tell() { print -r -- "$BUFFER" >$ZDOTDIR/line; exit }
zle -N tell; bindkey '^G' tell
"""
OPTIONS = {"bash": ["--norc", "-c"], "zsh": ["-f", "-c"], "fish": ["--no-config", "-c"]}
in_shells = pytest.mark.parametrize("shell", [pytest.param(name, marks=pytest.mark.interop) for name in SHELLS])


@pytest.fixture
def _commands_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in (USBMUX, TCPRELAY):
        script = folder / ("usbmux" if command is USBMUX else "tcprelay")
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    (tmp_path / ".zshrc").write_text(ZSHRC)
    monkeypatch.setenv("ZDOTDIR", str(tmp_path))


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
    script = SHELLS[shell] % {"words": quoted, "last": len(words) - 1, "line": line, "program": words[0]}
    path = "bash" if shell == "bash" else tool(shell)
    outcome = asyncio.run(run((path, *OPTIONS[shell], script)))
    assert outcome.stderr == ""
    if shell == "zsh":
        completed = outcome.stdout.decode().removesuffix("\n")
        return set() if completed == line else set(completed.split()[len(words) - 1 :])
    return {line.split("\t")[0] for line in outcome.stdout.decode().splitlines() if line}


def offered_in_time(shell: str, line: str) -> set[str]:
    """What it offers if a daemon answers as soon as the shell wants, which a busy machine's need not at once."""
    for _attempt in range(20):
        if found := offered(shell, line):
            return found
    return set()


@in_shells
@pytest.mark.usefixtures("_commands_in_path")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("usbmux d", {"demo", "doctor"}),
        ("usbmux env --for go", {"go-ios"}),
        ("usbmux completion ", {"bash", "zsh", "fish"}),
        ("usbmux forward ", {"add", "list", "remove", "run"}),
        ("usbmux connect --ud", {"--udid"}),
        ("tcprelay --", {"--bufsize", "--help", "--listen", "--socket", "--threaded", "--udid", "--verbose", "--wait"}),
        ("tcprelay -u 0123 --li", {"--listen"}),
    ],
)
def test_shell_completes_commands_options_and_choices(shell: str, line: str, words: set[str]) -> None:
    assert offered(shell, line) == words


@in_shells
@pytest.mark.usefixtures("_commands_in_path", "daemon")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("usbmux connect -u ", {FIRST, SECOND}),
        ("usbmux connect -u 00008110", {SECOND}),
        ("usbmux info --udid 1-", {"1-1", "1-2"}),
        ("usbmux capture -u 1-2", {"1-2"}),
        ("tcprelay -u ", {FIRST, SECOND}),
        ("tcprelay -v 22:2222 --udid 00008110", {SECOND}),
    ],
)
def test_shell_completes_phones(shell: str, line: str, words: set[str]) -> None:
    assert offered_in_time(shell, line) == words


@pytest.mark.interop
@pytest.mark.usefixtures("_commands_in_path")
def test_script_is_a_file_of_the_fpath_it_completes_usbmux(tmp_path: Path) -> None:
    sourced = "source <(usbmux completion zsh)"
    kept = "mkdir $ZDOTDIR/kept; usbmux completion zsh >$ZDOTDIR/kept/_usbmux; fpath+=($ZDOTDIR/kept)\n"
    assert sourced in ZSHRC
    (tmp_path / ".zshrc").write_text(kept + ZSHRC.replace(sourced, ""))
    assert offered("zsh", "usbmux --") == {"--help", "--socket", "--version"}


@pytest.mark.interop
@pytest.mark.usefixtures("_commands_in_path")
@pytest.mark.parametrize("line", ["usbmux --socket %s info -u ", "usbmux info --socket %s -u ", "tcprelay -s %s -u "])
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
