"""Every command chooses a phone alike, and says alike which there are."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import TCPRELAY, USBMUX, line_of, run, started
from tests.commands.served import served
from usbmux.testing import SimulatedPhone

if TYPE_CHECKING:
    from pathlib import Path

    from usbmux.testing import PhoneStream

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]

FIRST, SECOND = "00008030-001A2B3C4D5E6F01", "00008110-000A1D2E3F4B5C6D"
CANDIDATES = f"{FIRST} at 1-1, {SECOND} at 1-2"
HINT = "usbmux: choose one with -u UDID, a beginning of it or its port, or with the variable USBMUX_UDID\n"
ONE_PHONE_COMMANDS = [["connect", "7"], ["info"], ["pair"], ["unpair"], ["validate"]]
"""Those that end at once if the choice is none."""


def phones() -> list[SimulatedPhone]:
    """Two that say who they are on port 7."""

    def named(udid: str) -> SimulatedPhone:
        async def tell(stream: PhoneStream) -> None:
            await stream.write(udid.encode())

        return SimulatedPhone(udid, ports={7: tell})

    return [named(FIRST), named(SECOND)]


@pytest.mark.parametrize("command", ONE_PHONE_COMMANDS, ids=" ".join)
async def test_several_phones_and_no_choice_exit_3_naming_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    async with served(tmp_path, monkeypatch, *phones()):
        outcome = await run(USBMUX, *command)
    assert (outcome.code, outcome.stdout) == (3, b"")
    assert outcome.stderr == f"usbmux: several phones are attached: {CANDIDATES}\n{HINT}"


@pytest.mark.parametrize("command", [*ONE_PHONE_COMMANDS, ["capture"], ["conform", "{path}"]], ids=" ".join)
async def test_port_where_nobody_is_exit_3_naming_those_who_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    async with served(tmp_path, monkeypatch, *phones()):
        words = [word.format(path=tmp_path / "mux") for word in command]
        outcome = await run(USBMUX, *words, "-u", "1-3")
    assert (outcome.code, outcome.stdout) == (3, b"")
    assert outcome.stderr == f"usbmux: no phone is at port 1-3, only {CANDIDATES}\n"


@pytest.mark.parametrize("choice", [SECOND, "00008110", "00008110000a", "1-2"])
@pytest.mark.parametrize("way", ["option", "variable"])
async def test_phone_is_chosen_by_udid_beginning_or_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str, way: str
) -> None:
    async with served(tmp_path, monkeypatch, *phones()):
        if way == "variable":
            monkeypatch.setenv("USBMUX_UDID", choice)
        outcome = await run(USBMUX, "connect", *(["-u", choice] if way == "option" else []), "7")
    assert (outcome.code, outcome.stdout) == (0, SECOND.encode())


@pytest.mark.parametrize("program", [(*USBMUX, "forward", "0:7"), (*TCPRELAY, "7:0")], ids=["forward", "tcprelay"])
async def test_relay_leads_to_the_phone_at_a_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: tuple[str, ...]
) -> None:
    async with served(tmp_path, monkeypatch, *phones()), started(program, "-u", "1-2") as relay:
        found = re.search(r" port=(\d+) .* udid=1-2$", await line_of(relay.stdout))
        assert found
        assert await answer(int(found[1])) == SECOND


async def answer(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return (await reader.read()).decode()
    finally:
        writer.close()


async def test_capture_takes_the_phone_at_a_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        served(tmp_path, monkeypatch, *phones()),
        started(USBMUX, "capture", "-u", "1-2") as program,
    ):
        assert await line_of(program.stderr) == f"usbmux: capturing {SECOND}; Ctrl-C ends it"
