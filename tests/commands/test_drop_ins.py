"""`iproxy` and `inetcat` as processes beside a scripted daemon, and their options beside those of Debian's."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import ask, line_of, run, started
from tests.support.streams import free_port
from usbmux.client.device import Device
from usbmux.commands import inetcat, iproxy
from usbmux.commands.drop_in import first_device
from usbmux.control.address import TcpAddress
from usbmux.errors import DeviceNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.relay.scripted_daemon import ScriptedDaemon

IPROXY = (sys.executable, "-m", "usbmux.commands.iproxy")
INETCAT = (sys.executable, "-m", "usbmux.commands.inetcat")
MAINS = {"iproxy": iproxy.main, "inetcat": inetcat.main}

USB, OTHER, AIR = Device(1, "B"), Device(2, "A"), Device(3, "C", connection_type="Network")


def _local_ends(*arguments: str) -> list[tuple[object, int]]:
    return [(route.local, route.device_port) for route in iproxy.parse(arguments).routing.routes]


@pytest.mark.parametrize(
    "arguments",
    [["2222:22"], ["2222", "22"], ["-l", "2222:22"], ["2222:22", "-d"], ["--source", "127.0.0.1", "2222:22"]],
)
def test_iproxy_parse_local_port_comes_first(arguments: list[str]) -> None:
    assert _local_ends(*arguments) == [(TcpAddress("127.0.0.1", 2222), 22)]


def test_iproxy_parse_several_pairs_and_options_behind_them() -> None:
    options = iproxy.parse(["2222:22", "-s", "::1", "5900:5901", "-u", "A", "-dd"])
    assert [(route.local, route.device_port, route.udid) for route in options.routing.routes] == [
        (TcpAddress("::1", 2222), 22, "A"), (TcpAddress("::1", 5900), 5901, "A")
    ]  # fmt: skip
    assert options.is_verbose


def test_iproxy_parse_variable_of_ours_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USBMUX_UDID", "A")
    assert iproxy.parse(["2222:22"]).routing.routes[0].udid is None


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("iproxy", []), ("iproxy", ["2222"]), ("iproxy", ["2222", "22", "A"]), ("iproxy", ["2222:0"]),
        ("iproxy", ["2222:22:1"]), ("iproxy", ["a:22"]), ("iproxy", ["-x", "2222:22"]),
        ("iproxy", ["-s", "", "2222:22"]), ("iproxy", ["-s", "a..b", "2222:22"]), ("iproxy", ["-u"]),
        ("inetcat", []), ("inetcat", ["0"]), ("inetcat", ["x"]),
        ("inetcat", ["65536"]),
    ],
)  # fmt: skip
def test_line_is_wrong_exit_2_with_all_of_the_help(
    program: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        MAINS[program](arguments)
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"{program}: ")
    assert "--udid UDID" in captured.err


@pytest.mark.parametrize("program", MAINS)
def test_version_and_help_are_on_stdout(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    for option, said in (("-v", f"{program} (usbmux "), ("-h", f"usage: {program} ")):
        with pytest.raises(SystemExit) as caught:
            MAINS[program]([option])
        assert caught.value.code == 0
        assert capsys.readouterr().out.startswith(said)


@pytest.mark.interop
@pytest.mark.parametrize("program", MAINS)
def test_options_are_those_of_debians_program(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed; remedy: apt-get install libusbmuxd-tools")
    theirs = subprocess.run([path, "-h"], capture_output=True, text=True, timeout=20, check=True).stdout
    with pytest.raises(SystemExit):
        MAINS[program](["-h"])
    options = re.compile(r"^  (-\w), (--[a-z]+)", re.MULTILINE)
    ours = {(short, long) for short, long in re.findall(r"(-\w)(?: \w+)?, (--[a-z]+)", capsys.readouterr().out)}
    assert set(options.findall(theirs)) == ours


@pytest.mark.parametrize(
    ("types", "udid", "expected"),
    [
        (("USB",), None, USB), (("Network",), None, AIR), (("USB", "Network"), None, USB), (("USB",), "A", OTHER),
        (("Network",), "A", None), (("USB",), "C", None),
    ],
)  # fmt: skip
def test_first_phone_that_is_connected_so_is_meant(
    types: tuple[str, ...], udid: str | None, expected: Device | None
) -> None:
    choose: Callable[[], Device] = lambda: first_device(types, [AIR, USB, OTHER], udid)  # noqa: E731
    if expected is None:
        with pytest.raises(DeviceNotFoundError):
            choose()
    else:
        assert choose() == expected


@pytest.mark.slow
@pytest.mark.asyncio
async def test_iproxy_says_when_it_is_ready_and_keeps_half_closes(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "B")
    daemon.attach(2, "A")
    port = free_port()
    async with started(IPROXY, f"{port}:9") as program:
        assert await line_of(program.stdout) == f"Creating listening port {port} for device port 9"
        assert await line_of(program.stdout) == "waiting for connection"
        assert await ask(f"127.0.0.1:{port}", bytes(100_000)) == b"100000 bytes"
        program.send_signal(signal.SIGTERM)
        stdout, stderr = await program.communicate()
        assert (program.returncode, stdout, stderr) == (0, b"", b"")


@pytest.mark.slow
@pytest.mark.asyncio
async def test_iproxy_phone_is_absent_connection_ends_at_once(daemon: ScriptedDaemon) -> None:
    port = free_port()
    async with started(IPROXY, "-u", "A", f"{port}:9") as program:
        for _ in range(2):
            await line_of(program.stdout)
        assert await ask(f"127.0.0.1:{port}", b"") == b""
        assert "no phone is attached" in await line_of(program.stderr)
        daemon.attach(1, "A")
        assert await ask(f"127.0.0.1:{port}", b"x") == b"1 bytes"


@pytest.mark.slow
@pytest.mark.asyncio
async def test_inetcat_end_of_input_is_passed_on_and_the_answer_comes(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "B")
    daemon.attach(2, "A")
    outcome = await run(INETCAT, "9", stdin=b"hello")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"5 bytes", "")


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize(("arguments", "code"), [(["10"], 6), (["-n", "9"], 3), (["-u", "X", "9"], 3)])
async def test_inetcat_it_cannot_connect_exit_code_says_why(
    daemon: ScriptedDaemon, arguments: list[str], code: int
) -> None:
    daemon.attach(1, "A")
    outcome = await run(INETCAT, *arguments)
    assert (outcome.code, outcome.stdout) == (code, b"")
    assert outcome.stderr.startswith("inetcat: ")
