"""`usbmux forward add`, `list` and `remove`, as processes beside a whole daemon."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import USBMUX, Outcome, own_host, run, started
from tests.commands.served import served
from usbmux.testing import SimulatedPhone, echo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]

A, B = "00008030-001A2B3C4D5E6F01", "00008110-000A1D2E3F4B5C6D"


async def _forward(*arguments: str) -> Outcome:
    return await run((*USBMUX, "forward"), *arguments)


async def _echoes(listen: str) -> bool:
    host, _, port = listen.rpartition(":")
    opening = asyncio.open_unix_connection(port) if host == "unix" else asyncio.open_connection(host, int(port))
    async with asyncio.timeout(20):
        reader, writer = await opening
        writer.write(b"hello")
        answer = await reader.read(5)
        writer.close()
    return answer == b"hello"


def _phones() -> list[SimulatedPhone]:
    return [SimulatedPhone(udid, ports={7: echo}) for udid in (A, B)]


async def test_added_listed_used_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, *_phones()):
        added = await _forward("add", "-u", B, "0:7", f"{tmp_path}/ssh:22")
        assert (added.code, added.stderr) == (0, "")
        tcp, unix = added.stdout.decode().splitlines()
        assert unix == f"unix:{tmp_path}/ssh port=22 udid={B}"
        listen, *rest = tcp.split(" ")
        assert rest == ["port=7", f"udid={B}"]
        assert await _echoes(listen)
        table = [line.split() for line in (await _forward("list")).stdout.decode().splitlines()]
        assert table[0] == ["LISTEN", "PORT", "UDID", "STATE", "CONNECTIONS", "NOTE"]
        assert table[1][:4] == [listen, "7", B, "listening"]
        assert table[2] == [f"unix:{tmp_path}/ssh", "22", B, "listening", "0"]
        removed = await _forward("remove", listen.rpartition(":")[2], f"{tmp_path}/ssh")
        assert removed.stdout == added.stdout
        empty = await _forward("list")
        assert (empty.code, empty.stdout, empty.stderr) == (0, b"", "usbmux: no forwards are kept\n")


async def test_path_is_relative_the_daemon_gets_it_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with served(tmp_path, monkeypatch, *_phones()):
        added = await _forward("add", "-u", A, "./ssh:7")
        assert added.stdout == f"unix:{tmp_path}/ssh port=7 udid={A}\n".encode()
        assert (await _forward("remove", "./ssh")).code == 0


async def test_json_is_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, *_phones()):
        (added,) = json.loads((await _forward("add", "--json", "-u", A, "0:7")).stdout)["forwards"]
        assert (added["port"], added["udid"], added["is_listening"], added["is_attached"]) == (7, A, True, True)
        assert json.loads((await _forward("list", "--json")).stdout) == {"forwards": [added]}
        assert json.loads((await _forward("remove", "--all", "--json")).stdout) == {"forwards": [added]}
        assert json.loads((await _forward("list", "--json")).stdout) == {"forwards": []}


async def test_list_on_a_terminal_is_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, *_phones()):
        await _forward("add", "-u", A, "0:7")
        piped = (await _forward("list")).stdout
        ours, theirs = pty.openpty()
        try:
            async with started((*USBMUX, "forward", "list"), stdout=theirs) as program:
                await program.wait()
            assert os.read(ours, 4096).replace(b"\r\n", b"\n") == piped
        finally:
            os.close(ours)
            os.close(theirs)


async def test_beginning_of_a_udid_the_whole_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, *_phones()):
        assert f"udid={A}\n".encode() in (await _forward("add", "-u", A[:6], "0:7")).stdout


async def test_range_and_a_phone_for_each_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, *_phones()):
        host = own_host()
        found = await _forward("add", "-u", B, "-u", A, "--listen", host, "2201-2202:7")
        assert found.stdout.decode().splitlines() == [
            f"{host}:2201 port=7 udid={B}", f"{host}:2202 port=7 udid={A}"
        ]  # fmt: skip


async def test_any_phone_the_only_one_is_looked_for_at_each_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch) as (daemon, bus):
        added = (await _forward("add", "--any-phone", "0:7")).stdout.decode()
        assert re.fullmatch(r"127\.0\.0\.1:\d+ port=7 udid=any\n", added)
        bus.plug(_phones()[0])
        await daemon.wait_settled(20)
        assert await _echoes(added.split(" ", 1)[0])


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["add", "0:7"], 3, "several phones"),
        (["add", "-u", "F", "0:7"], 3, "no phone with the UDID 'F' is attached"),
        (["add", "-u", A, "34411-34412:7"], 2, "leads to one phone: give a -u for each port of the range"),
        (["add", "-u", A, "fd:x:7"], 2, "no such socket was handed over"),
        (["add", "-u", A, "--", "-:7"], 2, "go with nothing else"),
        (["add", "-u", A, "--any-phone", "0:7"], 2, "--any-phone excludes -u"),
        (["add", "-u", A, "localhost:0:7"], 1, "needs a numeric address"),
        (["remove", "7"], 2, "no forward listens at 7"),
        (["remove"], 2, "give what to remove, or --all"),
        (["remove", "--all", "7"], 2, "give what to remove, or --all"),
    ],
)
async def test_it_cannot_be_done_code_and_words_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, error: str
) -> None:
    async with served(tmp_path, monkeypatch, *_phones()) as (_daemon, _bus):
        outcome = await _forward(*arguments)
        assert (outcome.code, outcome.stdout) == (code, b"")
        assert error in " ".join(outcome.stderr.split())


async def test_phone_is_not_there_yet_its_whole_udid_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch):
        assert f"udid={A}\n".encode() in (await _forward("add", "-u", A, "0:7")).stdout
        (row,) = (await _forward("list")).stdout.decode().splitlines()[1:]
        assert row.endswith("the phone is not there")


async def test_any_phone_and_there_are_two_the_note_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, *_phones()):
        assert (await _forward("add", "--any-phone", "0:7")).code == 0
        (row,) = (await _forward("list")).stdout.decode().splitlines()[1:]
        assert row.endswith("2 phones are there, and none is chosen")


async def test_no_daemon_exit_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", str(tmp_path / "mux"))
    assert (await _forward("list")).code == 4
