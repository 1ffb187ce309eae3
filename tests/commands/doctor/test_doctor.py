"""`usbmux doctor` as a process, in pipes and on a terminal, beside a real daemon and a made-up computer."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
from importlib.resources import files
from subprocess import DEVNULL
from typing import TYPE_CHECKING

import pytest

from tests.commands.doctor.made_up import MadeUpSystem
from tests.commands.program import USBMUX, Outcome, run, started
from tests.commands.served import served
from usbmux import AsyncClient, __version__
from usbmux.client.programs import client_environment
from usbmux.commands.doctor.finding import Finding, Severity
from usbmux.commands.doctor.report import in_words
from usbmux.control.address import UnixAddress
from usbmux.testing import SimulatedPhone
from usbmux.testing.iphone import VirtualIPhone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]

RULE = files("usbmux.commands").joinpath("service_files", "udev", "60-usbmux.rules").read_text()
NAMES = {"environment", "socket", "daemons", "system", "udev", "usb", "phones"}


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUpSystem:
    """A computer on which all is well, apart from daemon and phones; and the variables are in order."""
    system = MadeUpSystem(tmp_path / "root")
    system.file("/etc/udev/rules.d/60-usbmux.rules", RULE)
    for name in ("container", "USBMUX_ADDRESS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return system


def told(monkeypatch: pytest.MonkeyPatch, address: UnixAddress) -> None:
    for name, value in client_environment(address).items():
        monkeypatch.setenv(name, value)


async def doctor(system: MadeUpSystem, *arguments: str) -> Outcome:
    return await run(USBMUX, "doctor", "--root", str(system.root), *arguments)


async def test_paired_phone_is_plugged_in_all_is_well(
    system: MadeUpSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = VirtualIPhone()
    async with served(tmp_path, monkeypatch, phone.device):
        told(monkeypatch, address := UnixAddress(f"{tmp_path}/mux"))
        async with AsyncClient(address).lockdown() as lockdown:
            await lockdown.pair()
        outcome = await doctor(system)
    assert (outcome.code, outcome.stderr) == (0, "usbmux: all is well\n")
    assert outcome.stdout.decode().splitlines() == [
        "ok       environment  no variable is in the way",
        f"ok       socket       usbmuxd of usbmux {__version__} answers at {address}",
        "ok       daemons      no daemon that uses the USB bus of this computer",
        "ok       system       this system has a USB bus of its own",
        "ok       udev         iPhones have a rule: /etc/udev/rules.d/60-usbmux.rules",
        f"ok       phones       the phone {phone.udid} at 1-1 is paired with this computer",
    ]


async def test_troubles_are_one_json_document_and_exit_1(
    system: MadeUpSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.phone()
    system.process(7, "/usr/sbin/usbmuxd")
    system.process(8, "/usr/sbin/usbmuxd")
    phone = VirtualIPhone()
    async with served(tmp_path, monkeypatch, phone.device):
        told(monkeypatch, UnixAddress(f"{tmp_path}/mux"))
        outcome = await doctor(system, "--json")
    document = json.loads(outcome.stdout)
    assert (outcome.code, outcome.stderr, document["is_well"]) == (1, "", False)
    assert {finding["check"] for finding in document["findings"]} == NAMES
    assert all(finding.keys() == {"check", "severity", "text", "fix"} for finding in document["findings"])
    bad = [finding for finding in document["findings"] if finding["severity"] != "ok"]
    assert [(finding["check"], finding["severity"]) for finding in bad] == [
        ("daemons", "warning"),
        ("phones", "warning"),
    ]
    assert bad[1]["fix"] == f"usbmux pair -u {phone.udid} --wait 60, and tap Trust on the phone"


async def test_no_daemon_is_a_problem_of_exit_1_and_not_an_error(
    system: MadeUpSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, UnixAddress(f"{tmp_path}/mux"))
    outcome = await doctor(system)
    assert (outcome.code, outcome.stderr) == (1, "usbmux: 1 problem\n")
    assert f"there is no daemon: no socket at unix:{tmp_path}/mux\n" in outcome.stdout.decode()


async def test_option_that_is_no_address_is_wrong_usage(system: MadeUpSystem) -> None:
    outcome = await doctor(system, "--socket", "ftp://x")
    assert (outcome.code, outcome.stdout) == (2, b"")


async def test_phone_without_lockdown_is_no_trouble(
    system: MadeUpSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch, SimulatedPhone()):
        told(monkeypatch, UnixAddress(f"{tmp_path}/mux"))
        outcome = await doctor(system)
    assert outcome.code == 0
    assert b"has no lockdown" in outcome.stdout


@pytest.mark.parametrize("no_color", ["", "1"])
async def test_terminal_gets_colours_unless_they_are_not_wanted(
    system: MadeUpSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_color: str
) -> None:
    told(monkeypatch, UnixAddress(f"{tmp_path}/mux"))
    monkeypatch.setenv("NO_COLOR", no_color)
    master, terminal = pty.openpty()
    try:
        async with started(USBMUX, "doctor", "--root", str(system.root), stdin=DEVNULL, stdout=terminal) as program:
            assert await program.wait() == 1
        shown = os.read(master, 1 << 16).decode()
    finally:
        os.close(master)
        os.close(terminal)
    assert shown.count("\r\n") >= 6
    assert ("\x1b[31mproblem\x1b[0m  socket" in shown) == (not no_color)
    assert ("\x1b" in shown) == (not no_color)


async def test_daemon_that_hangs_is_interrupted_at_once(system: MadeUpSystem, tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()  # to its end
        writer.close()

    async with (
        await asyncio.start_unix_server(never_answer, tmp_path / "mux"),
        started(USBMUX, "doctor", "--root", str(system.root), "--socket", f"{tmp_path}/mux") as program,
    ):
        await asked.wait()
        program.send_signal(signal.SIGINT)
        assert await program.wait() == 130


async def test_words_have_a_line_for_the_fix_only_where_there_is_one() -> None:
    findings = [Finding("usb", Severity.OK, "fine"), Finding("udev", Severity.WARNING, "bad", "mend it")]
    assert in_words(findings, in_colour=False).splitlines() == [
        "ok       usb          fine",
        "warning  udev         bad",
        "                      to do: mend it",
    ]
