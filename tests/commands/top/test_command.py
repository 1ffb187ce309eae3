"""The command in a pipe, beside a daemon."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import USBMUX, line_of, run, started
from tests.commands.served import served
from tests.support.terminal import on_terminal
from usbmux import AsyncClient
from usbmux.testing import SimulatedPhone, echo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

UDID = "00008030-001A2B3C4D5E6F01"
TELL_IMPORTS = (sys.executable, "-X", "importtime", "-m", "usbmux")


async def test_one_sample_is_wanted_tables_come_without_a_terminal_and_without_textual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch, SimulatedPhone(UDID, ports={7: echo})) as (daemon, _bus):
        _reader, writer = await AsyncClient(daemon.addresses[0]).connect(UDID, 7)
        outcome = await run(TELL_IMPORTS, "top", "--once")
        writer.close()
    assert outcome.code == 0
    phones, clients = outcome.stdout.decode().split("\n\n")
    assert phones.splitlines() == [
        "PORT  STATE     NAME  TO PHONE  FROM PHONE  CONNS  STALLED  AGAIN/H  SPEED       UDID",
        f"1-1   attached  -     0 B/s     0 B/s       1      0        0        480 Mbit/s  {UDID}",
    ]
    (client,) = clients.splitlines()[1:]
    assert client.split()[:6] == ["1", "pytest", str(os.getpid()), str(os.getuid()), "established", f"{UDID[:19]}…"]
    modules = [line.split()[-1] for line in outcome.stderr.splitlines()]
    assert "usbmux.commands.top.model" in modules
    assert not any(module.split(".")[0] in ("textual", "rich") for module in modules)


async def test_one_sample_is_wanted_as_json_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, SimulatedPhone(UDID)):
        outcome = await run(USBMUX, "top", "--once", "--json")
    assert (outcome.code, outcome.stderr, outcome.stdout.count(b"\n")) == (0, "", 1)
    (phone,) = json.loads(outcome.stdout)["phones"]
    assert (phone["udid"], phone["to_phone_bytes_per_s"]) == (UDID, 0.0)


async def test_json_is_wanted_lines_come_over_a_restart_of_the_daemon_until_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        served(tmp_path, monkeypatch, SimulatedPhone(UDID)) as (daemon, _bus),
        started(USBMUX, "top", "--json") as program,
    ):
        document = json.loads(await line_of(program.stdout))
        assert [phone["udid"] for phone in document["phones"]] == [UDID]
        await daemon.close()
        while "no usbmux daemon at" not in (document["error"] or ""):
            document = json.loads(await line_of(program.stdout))
        assert document["phones"] == []
        async with served(tmp_path, monkeypatch):
            while document["error"] is not None:
                document = json.loads(await line_of(program.stdout))
            program.send_signal(signal.SIGINT)
            _stdout, stderr = await program.communicate()
    assert (program.returncode, stderr) == (130, b"")


async def test_reader_of_the_lines_goes_it_ends_quietly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    async with served(tmp_path, monkeypatch), started(USBMUX, "top", "--json", stdout=writable) as program:
        os.close(writable)
        _stdout, stderr = await program.communicate()
    assert (program.returncode, stderr) == (0, b"")


async def test_there_is_no_terminal_exit_2() -> None:
    outcome = await run(USBMUX, "top")
    assert (outcome.code, outcome.stdout) == (2, b"")
    assert "the screen needs a terminal; --once and --json do not" in outcome.stderr


@pytest.mark.parametrize("options", [[], ["--once"], ["--json"]])
async def test_there_is_no_daemon_exit_4_and_the_terminal_is_left_alone(tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "mux"
    async with on_terminal(*USBMUX, "top", "--socket", str(path), *options, environment=os.environ) as terminal:
        async with asyncio.timeout(30):
            assert await terminal.process.wait() == 4
        terminal.read()
    assert terminal.output == f"usbmux: no usbmux daemon at unix:{path}.admin: No such file or directory\r\n"


async def test_textual_is_not_installed_exit_1_and_one_line_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = (
        "import sys; sys.modules['textual'] = None\nfrom usbmux.commands.usbmux import main; sys.exit(main())",
        "top",
    )
    async with (
        served(tmp_path, monkeypatch),
        on_terminal(sys.executable, "-c", *without, environment=os.environ) as terminal,
    ):
        async with asyncio.timeout(30):
            assert await terminal.process.wait() == 1
        terminal.read()
    assert terminal.output == (
        "usbmux: top needs the package textual: pip install 'usbmux[tui]'; --once and --json do without\r\n"
    )
