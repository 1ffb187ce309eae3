"""`usbmux forward` in the foreground, as a process beside a scripted daemon."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands.program import USBMUX, ask, line_of, own_host, run, started
from tests.commands.served import served
from usbmux.testing import SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.relay.scripted_daemon import ScriptedDaemon
    from usbmux.testing import PhoneStream

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]

FORWARD = (*USBMUX, "forward")


def _event(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line)
    return found


async def test_print_ready_one_line_says_where_all_listen(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    daemon.attach(1, "A")
    path = str(tmp_path / "ssh")
    async with started(FORWARD, "--print-ready", "0:7", f"{path}:9") as program:
        word, tcp, unix = (await line_of(program.stdout)).split(" ")
        assert (word, unix) == ("ready", path)
        assert await ask(tcp, b"hello") == b"hello"
        assert await ask(unix, b"hello") == b"5 bytes"
        program.send_signal(signal.SIGTERM)
        stdout, _stderr = await program.communicate()
        assert (program.returncode, stdout) == (0, b"")
    assert not os.path.exists(path)  # noqa: ASYNC240


@pytest.fixture
def hang_ups_are_heard() -> Iterator[None]:
    """Who starts the tests under nohup has told them to ignore SIGHUP, and so all that they start."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_ups_are_heard")
async def test_terminal_hangs_up_it_ends_as_by_sigterm(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    daemon.attach(1, "A")
    path = str(tmp_path / "ssh")
    async with started(FORWARD, "--print-ready", f"{path}:9") as program:
        await line_of(program.stdout)
        program.send_signal(signal.SIGHUP)
        _, said = await program.communicate()
        assert program.returncode == 0
    assert said.decode().splitlines()[-1].startswith(f"usbmux: {path}: 0 connections, ")
    assert not os.path.exists(path)  # noqa: ASYNC240


async def test_terminal_hangs_up_under_nohup_it_forwards_on(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with started(("sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *FORWARD), "--json", "0:7") as program:
        where = _event(await line_of(program.stdout))["listen"]
        await line_of(program.stdout)
        program.send_signal(signal.SIGHUP)
        assert await ask(where, b"hello") == b"hello"
        program.send_signal(signal.SIGTERM)
        assert _event(await line_of(program.stdout))["connections"] == 1


async def test_run_is_the_same_command(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with started((*FORWARD, "run"), "--print-ready", "0:7") as program:
        _word, tcp = (await line_of(program.stdout)).split(" ")
        assert await ask(tcp, b"hello") == b"hello"


async def test_json_each_event_is_one_object_on_a_line(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with started(FORWARD, "--json", "-u", "A", "0:7") as program:
        listening = _event(await line_of(program.stdout))
        port = listening["port"]
        assert listening == {
            "event": "listening", "listen": f"127.0.0.1:{port}", "address": "127.0.0.1", "port": port, "path": None,
            "device_port": 7, "udid": "A",
        }  # fmt: skip
        assert _event(await line_of(program.stdout)) == {"event": "ready"}
        assert await ask(f"127.0.0.1:{port}", b"hello") == b"hello"
        program.send_signal(signal.SIGTERM)
        statistics = _event(await line_of(program.stdout))
    names = ("event", "listen", "connections", "failed", "bytes_to_device", "bytes_to_local")
    assert tuple(statistics[name] for name in names) == ("statistics", f"127.0.0.1:{port}", 1, 0, 5, 5)


async def test_sigusr1_statistics_come_and_it_goes_on(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with started(FORWARD, "--json", "0:7") as program:
        where = _event(await line_of(program.stdout))["listen"]
        await line_of(program.stdout)
        program.send_signal(signal.SIGUSR1)
        assert _event(await line_of(program.stdout))["connections"] == 0
        assert await ask(where, b"hello") == b"hello"
        program.send_signal(signal.SIGUSR1)
        assert _event(await line_of(program.stdout))["connections"] == 1


async def test_range_of_ports_phones_get_them_in_the_order_of_their_udids_and_as_they_come(
    daemon: ScriptedDaemon,
) -> None:
    daemon.attach(1, "B")
    daemon.attach(2, "A")
    host = own_host()
    async with started(FORWARD, "--listen", host, "2201-2203:7") as program:
        lines = [await line_of(program.stdout) for _ in range(3)]
        assert lines == [
            f"listening address={host} port={port} device_port=7 udid={udid}"
            for port, udid in ((2201, "A"), (2202, "B"), (2203, "later"))
        ]
        words = [await line_of(program.stderr) for _ in range(3)]
        assert words[1:] == [
            f"usbmux: {host}:2202 on this computer leads to port 7 of the phone B",
            f"usbmux: {host}:2203 on this computer leads to port 7 of a phone that is still to come",
        ]
        await daemon.wait_listener()
        daemon.attach(3, "0")
        assert await line_of(program.stdout) == f"phone address={host} port=2203 device_port=7 udid=0"
        assert await ask(f"{host}:2203", b"hello") == b"hello"


@pytest.mark.parametrize(("option", "line_count"), [((), 3), (("--json",), 4)], ids=["lines", "json"])
async def test_reader_of_stdout_has_left_phones_that_come_get_their_ports(
    daemon: ScriptedDaemon, option: tuple[str, ...], line_count: int
) -> None:
    daemon.attach(1, "A")
    readable, writable = os.pipe()
    async with started(FORWARD, *option, "--listen", (host := own_host()), "2221-2223:7", stdout=writable) as program:
        os.close(writable)
        with open(readable, "rb") as stdout:  # noqa: ASYNC230
            for _ in range(line_count):
                await asyncio.to_thread(stdout.readline)
        await daemon.wait_listener()
        daemon.attach(2, "B")
        daemon.attach(3, "C")
        words = [await line_of(program.stderr) for _ in range(5)]
        assert words[-1] == f"usbmux: {host}:2223 on this computer leads to port 7 of the phone C"
        assert await ask(f"{host}:2223", b"hello") == b"hello"
        program.send_signal(signal.SIGINT)
        _, said = await program.communicate()
    assert program.returncode == 130
    assert said.decode().splitlines()[-1].startswith(f"usbmux: {host}:2223: 1 connections, ")


def _phone_that_says_its_udid(udid: str) -> SimulatedPhone:
    async def tell(stream: PhoneStream) -> None:
        await stream.write(udid.encode())

    return SimulatedPhone(udid, ports={7: tell})


@pytest.mark.parametrize("named", [False, True])
async def test_range_of_ports_each_leads_to_its_own_phone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    udids = ["00008030-001A2B3C4D5E6F01", "00008110-000A1D2E3F4B5C6D"]
    async with served(tmp_path, monkeypatch, *map(_phone_that_says_its_udid, udids)):
        order = udids[::-1] if named else udids
        chosen = [word for udid in order for word in ("-u", udid)] if named else []
        host = own_host()
        async with started(FORWARD, *chosen, "--print-ready", "--listen", host, "2211-2212:7") as program:
            assert await line_of(program.stdout) == f"ready {host}:2211 {host}:2212"
            assert [await ask(f"{host}:{port}", b"") for port in (2211, 2212)] == [udid.encode() for udid in order]


@pytest.mark.parametrize("count", [1, 2])
async def test_once_ends_well_after_the_first_connection(daemon: ScriptedDaemon, count: int) -> None:
    daemon.attach(1, "A")
    async with started(FORWARD, "--once", "--print-ready", *["0:7"] * count) as program:
        ends = (await line_of(program.stdout)).split(" ")[1:]
        assert await ask(ends[-1], b"hello") == b"hello"
        await program.communicate()
        assert program.returncode == 0


async def test_once_port_is_refused_exit_code_says_so(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with started(FORWARD, "--once", "--print-ready", "0:10") as program:
        _word, where = (await line_of(program.stdout)).split(" ")
        assert await ask(where, b"") == b""
        _stdout, stderr = await program.communicate()
        assert program.returncode == 6
        assert b"refused the connection to port 10" in stderr


async def test_once_no_phone_comes_within_the_wait_exit_code_says_so(daemon: ScriptedDaemon) -> None:
    async with started(FORWARD, "--once", "--wait", "0.05", "--print-ready", "0:7") as program:
        _word, where = (await line_of(program.stdout)).split(" ")
        assert await ask(where, b"") == b""
        await program.communicate()
        assert program.returncode == 3


async def test_stdio_end_is_passed_on_and_the_answer_comes(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    outcome = await run(FORWARD, "--", "-:9", stdin=b"hello")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"5 bytes", "")


async def test_stdio_phone_is_absent_it_is_waited_for(daemon: ScriptedDaemon) -> None:
    running = asyncio.create_task(run(FORWARD, "--wait", "20", "--", "-:9", stdin=b"hello"))
    await daemon.wait_listener()
    daemon.attach(1, "A")
    assert (await running).stdout == b"5 bytes"


async def test_stdio_on_a_terminal_bytes_go_both_ways(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    ours, theirs = pty.openpty()
    try:
        async with started(FORWARD, "--", "-:9", stdin=theirs) as program:
            os.write(ours, b"hi\n\x04")  # the end that a terminal sends for Ctrl-D
            assert await line_of(program.stdout) == "3 bytes"
    finally:
        os.close(ours)
        os.close(theirs)


async def test_on_a_terminal_lines_come_as_in_a_pipe(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    ours, theirs = pty.openpty()
    try:
        async with started(FORWARD, "0:7", stdout=theirs) as program:
            words = await line_of(program.stderr)
            line = await asyncio.to_thread(os.read, ours, 1000)
            assert line.startswith(b"listening address=127.0.0.1 port=")
            assert words.startswith("usbmux: 127.0.0.1:")
    finally:
        os.close(ours)
        os.close(theirs)


_HAND_OVER = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
os.dup2(server.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "ssh"}
os.execv(sys.executable, [sys.executable, "-m", "usbmux", "forward", "--print-ready", *sys.argv[1:]])
"""


@pytest.mark.parametrize("name", ["ssh", "3"])
async def test_socket_of_the_service_manager_is_used_by_its_name_and_number(daemon: ScriptedDaemon, name: str) -> None:
    daemon.attach(1, "A")
    async with started((sys.executable, "-c", _HAND_OVER), f"fd:{name}:7") as program:
        _word, where = (await line_of(program.stdout)).split(" ")
        assert await ask(where, b"hello") == b"hello"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["fd:ssh:22"], "no such socket was handed over by the service manager, only: none"),
        (["--print-ready", "--json", "0:22"], "--print-ready excludes --json"),
        (["--tls-key", "k", "0:22"], "TLS needs --tls-certificate, --tls-key and --tls-client-ca"),
        (["--json", "--", "-:22"], "go with one pair and one phone, and with no other output"),
        (["-u", "A", "-u", "B", "2200:22"], "2 phones need 2 local ports each"),
        (["-u", "", "0:22"], "the UDID of the phone is empty"),
        (["-u", "", "--", "-:22"], "the UDID of the phone is empty"),
        (["-u", "A*", "2200:22"], "need a range of local ports"),
        ([], "Missing argument"),
    ],
)
async def test_line_is_wrong_exit_2_says_why(daemon: ScriptedDaemon, arguments: list[str], error: str) -> None:
    outcome = await run(FORWARD, *arguments)
    assert (outcome.code, outcome.stdout) == (2, b"")
    assert error in " ".join(outcome.stderr.split())


async def test_files_for_tls_are_missing_it_does_not_listen(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    files = [f"--tls-{kind}={tmp_path / kind}" for kind in ("certificate", "key", "client-ca")]
    outcome = await run(FORWARD, *files, "0:22")
    assert (outcome.code, outcome.stdout) == (1, b"")
    assert f"cannot use {tmp_path / 'certificate'}" in outcome.stderr
