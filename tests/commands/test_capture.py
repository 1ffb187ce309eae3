from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import stat
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import USBMUX, line_of, run, started
from tests.commands.served import served
from usbmux import AsyncClient
from usbmux.capture.pcapng_reader import PcapngReader
from usbmux.testing import SimulatedPhone, echo

if TYPE_CHECKING:
    from pathlib import Path

    from usbmux.daemon.server import Daemon

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

UDID = "00008030-001A2B3C4D5E6F01"
OTHER_UDID = "00008110-000A1D2E3F4B5C6D"
ALL = "usbmux: capturing all phones; Ctrl-C ends it"


def phone(udid: str = UDID) -> SimulatedPhone:
    return SimulatedPhone(udid, ports={7: echo})


async def use_echo(daemon: Daemon, udid: str = UDID) -> None:
    reader, writer = await AsyncClient(daemon.addresses[0]).connect(udid, 7)
    writer.write(b"word")
    assert await reader.readexactly(4) == b"word"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_file_is_given_signal_ends_it_well_and_the_file_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    path = tmp_path / "capture.pcapng"
    async with (
        served(tmp_path, monkeypatch, phone()) as (daemon, _bus),
        started(USBMUX, "capture", "-w", str(path)) as program,
    ):
        assert await line_of(program.stderr) == ALL
        await use_echo(daemon)
        program.send_signal(number)
        stdout, stderr = await program.communicate()
    reader = PcapngReader()
    assert reader.receive_data(path.read_bytes()) == path.read_bytes()
    assert reader.packets > 5
    assert (program.returncode, stdout) == (0, b"")
    assert stderr.decode() == f"usbmux: {reader.packets} packets captured, 0 dropped\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_name_of_the_file_is_empty_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, phone()):
        refused = await run(USBMUX, "capture", "-w", "")  # as of a variable that is not set
    assert (refused.code, refused.stdout) == (1, b"")
    assert refused.stderr.endswith("cannot write : No such file or directory\n")


async def test_no_file_is_given_lines_come_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        served(tmp_path, monkeypatch, phone(), phone(OTHER_UDID)) as (daemon, _bus),
        started(USBMUX, "capture", "-u", "00008110") as program,
    ):
        assert await line_of(program.stderr) == f"usbmux: capturing {OTHER_UDID}; Ctrl-C ends it"
        assert (await line_of(program.stdout)).endswith("--  link joined while under way at 1-2, 480000000 bit/s")
        await use_echo(daemon)
        await use_echo(daemon, OTHER_UDID)
        assert " out 1 > 7: [S] seq 0 " in await line_of(program.stdout)
        program.send_signal(signal.SIGINT)
        stdout, stderr = await program.communicate()
    assert all(OTHER_UDID in line for line in stdout.decode().splitlines())
    assert (program.returncode, stderr) == (0, b"")


async def test_json_is_asked_for_objects_come_at_once_and_a_signal_ends_them_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        served(tmp_path, monkeypatch, phone(), phone(OTHER_UDID)) as (daemon, _bus),
        started(USBMUX, "capture", "--json", "-u", "00008110") as program,
    ):
        assert await line_of(program.stderr) == f"usbmux: capturing {OTHER_UDID}; Ctrl-C ends it"
        assert json.loads(await line_of(program.stdout))["what"] == "link_joined"
        await use_echo(daemon)
        await use_echo(daemon, OTHER_UDID)
        syn = json.loads(await line_of(program.stdout))
        assert (syn["udid"], syn["destination_port"], syn["flags"]) == (OTHER_UDID, 7, ["SYN"])
        program.send_signal(signal.SIGINT)
        stdout, stderr = await program.communicate()
    assert {json.loads(line)["udid"] for line in stdout.splitlines()} == {OTHER_UDID}
    assert (program.returncode, stderr) == (0, b"")


async def test_json_goes_to_a_terminal_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    async with (
        served(tmp_path, monkeypatch, phone()) as (daemon, _bus),
        started(USBMUX, "capture", "--json", stdout=theirs) as program,
    ):
        assert await line_of(program.stderr) == ALL
        await daemon.close()
        await program.communicate()
    assert program.returncode == 4
    told = [json.loads(line)["what"] for line in os.read(ours, 4096).splitlines()]
    assert told == ["link_joined", "link_ended"]
    os.close(theirs)
    os.close(ours)


async def test_reader_of_json_goes_it_ends_quietly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    async with served(tmp_path, monkeypatch, phone()), started(USBMUX, "capture", "--json", stdout=writable) as program:
        os.close(writable)
        _stdout, stderr = await program.communicate()
    assert (program.returncode, stderr.decode()) == (0, f"{ALL}\n")


async def test_json_and_a_file_are_given_exit_2(tmp_path: Path) -> None:
    outcome = await run(USBMUX, "capture", "--json", "-w", str(tmp_path / "file"))
    assert (outcome.code, outcome.stdout) == (2, b"")
    assert outcome.stderr.endswith("Error: --write excludes --json\n")
    assert not (tmp_path / "file").exists()


async def test_standard_output_is_given_capture_goes_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, phone()), started(USBMUX, "capture", "-w", "-") as program:
        assert await line_of(program.stderr) == ALL
        program.send_signal(signal.SIGINT)
        stdout, stderr = await program.communicate()
    assert stdout.startswith(b"\n\r\r\n")
    assert (program.returncode, stderr) == (0, b"usbmux: 1 packets captured, 0 dropped\n")


async def test_standard_output_is_a_terminal_capture_is_refused(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    async with started(USBMUX, "capture", "-w", "-", stdout=theirs) as program:
        _stdout, stderr = await program.communicate()
    os.close(theirs)
    os.close(ours)
    assert program.returncode == 2
    assert b"a terminal cannot show a capture" in stderr


async def test_reader_of_the_standard_output_goes_it_ends_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    async with served(tmp_path, monkeypatch, phone()), started(USBMUX, "capture", stdout=writable) as program:
        os.close(writable)
        _stdout, stderr = await program.communicate()
    assert (program.returncode, stderr.decode()) == (0, f"{ALL}\n")


async def test_daemon_ends_file_is_whole_and_exit_4_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "capture.pcapng"
    async with (
        served(tmp_path, monkeypatch, phone()) as (daemon, _bus),
        started(USBMUX, "capture", "-w", str(path)) as program,
    ):
        assert await line_of(program.stderr) == ALL
        await daemon.close()
        _stdout, stderr = await program.communicate()
    assert PcapngReader().receive_data(path.read_bytes()) == path.read_bytes()
    assert program.returncode == 4
    assert stderr.decode().splitlines() == [
        "usbmux: 2 packets captured, 0 dropped",
        f"usbmux: the usbmux daemon at unix:{tmp_path}/mux.admin has ended the capture",
    ]


async def test_daemon_ends_lines_tell_of_it_and_exit_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, phone()) as (daemon, _bus), started(USBMUX, "capture") as program:
        assert await line_of(program.stderr) == ALL
        await daemon.close()
        stdout, _stderr = await program.communicate()
    assert stdout.decode().splitlines()[-1].endswith("link ended: closed by us")
    assert program.returncode == 4


@pytest.mark.parametrize(
    ("udid", "complaint"), [("0000", "choose one with -u UDID"), ("ffff", "no phone"), ("0000811", "")]
)
async def test_phone_is_not_the_only_one_or_none_exit_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, udid: str, complaint: str
) -> None:
    async with (
        served(tmp_path, monkeypatch, phone(), phone(OTHER_UDID)),
        started(USBMUX, "capture", "-u", udid) as program,
    ):
        line = await line_of(program.stderr)
        if not complaint:
            assert line == f"usbmux: capturing {OTHER_UDID}; Ctrl-C ends it"
            return
        _stdout, stderr = await program.communicate()
    assert program.returncode == 3
    assert complaint in line + stderr.decode()


async def test_file_cannot_be_made_exit_1_and_the_daemon_forgets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "missing" / "file"
    async with served(tmp_path, monkeypatch, phone()) as (daemon, _bus):
        outcome = await run(USBMUX, "capture", "-w", str(path))
        async with asyncio.timeout(20):
            while daemon.hub._sinks:  # noqa: ASYNC110 - nobody announces that a sink has gone
                await asyncio.sleep(0)
    assert (outcome.code, outcome.stdout) == (1, b"")
    assert outcome.stderr == f"usbmux: cannot write {path}: No such file or directory\n"


async def test_disk_is_full_exit_1_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, phone()):
        outcome = await run(USBMUX, "capture", "-w", "/dev/full")
    assert outcome.code == 1
    assert outcome.stderr == f"{ALL}\nusbmux: cannot write /dev/full: No space left on device\n"
