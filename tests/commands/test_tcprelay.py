from __future__ import annotations

import asyncio
import re
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import TCPRELAY, USBMUX, ask, line_of, run, started
from usbmux.commands.tcprelay import parse
from usbmux.relay.forwarder import DEFAULT_BUFFER_SIZE
from usbmux.relay.mapping import PortMapping
from usbmux.relay.routing import Routing

if TYPE_CHECKING:
    from tests.relay.scripted_daemon import ScriptedDaemon

pytestmark = pytest.mark.slow

_LISTENING = re.compile(r"listening address=127\.0\.0\.1 port=(\d+) device_port=(\d+) udid=(\S+)")


def test_parse_seed_line_gives_phone_ports_first() -> None:
    options = parse(["-t", "22:2222", "5900:2223", "8100"])
    mappings = (PortMapping(22, 2222), PortMapping(5900, 2223), PortMapping(8100, 8100))
    assert options.routing == Routing(tuple(mapping.route("127.0.0.1") for mapping in mappings))
    assert (options.address, options.buffer_size, options.wait_s) == (None, DEFAULT_BUFFER_SIZE, 30.0)
    assert not options.is_verbose


def test_parse_all_options() -> None:
    options = parse(
        ["-b", "64", "-s", "/run/mux", "-u", "A", "-l", "::1", "-l", "10.0.0.1", "--wait", "1.5", "-v", "22"]
    )
    mapping = PortMapping(22, 22)
    assert options.routing == Routing((mapping.route("::1", "A"), mapping.route("10.0.0.1", "A")))
    assert options.address == "/run/mux"
    assert (options.buffer_size, options.wait_s, options.is_verbose) == (64 * 1024, 1.5, True)


def test_parse_variable_chooses_the_phone_unless_an_option_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USBMUX_UDID", "B")
    assert [route.udid for route in parse(["22"]).routing.routes] == ["B"]
    assert [route.udid for route in parse(["-u", "A", "22"]).routing.routes] == ["A"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-l", "a..b", "22"],
        ["-u", "", "22"],
        ["22:b"],
        ["0:22"],
        ["-b", "0", "22"],
        ["-b", "x", "22"],
        ["--wait", "-1", "22"],
        ["--wait", "inf", "22"],
    ],
)
def test_parse_wrong_line_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: tcprelay")


def test_parse_wrong_mapping_shows_the_right_form(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["22-2222"])
    assert "write 22:2222" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_parse_help_tells_order_and_machine_readable_line(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([option])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for part in ("--threaded", "--bufsize", "--socket", "--udid", "--listen", "--wait", "listening address=127.0.0.1"):
        assert part in text


def _listening(line: str) -> tuple[int, int, str]:
    found = _LISTENING.fullmatch(line)
    assert found is not None, line
    return int(found[1]), int(found[2]), found[3]


@pytest.mark.asyncio
async def test_tcprelay_two_mappings_prints_both_lines_and_serves_them(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with started(TCPRELAY, "-t", "7:0", "9:0") as program:
        first, first_device_port, udid = _listening(await line_of(program.stdout))
        second, second_device_port, _ = _listening(await line_of(program.stdout))
        assert (first_device_port, second_device_port, udid) == (7, 9, "any")
        assert await line_of(program.stderr) == (
            f"tcprelay: 127.0.0.1:{first} on this computer leads to port 7 of the only phone"
        )
        assert await ask(f"127.0.0.1:{first}", b"hello") == b"hello"
        assert await ask(f"127.0.0.1:{second}", b"hello") == b"5 bytes"


@pytest.mark.asyncio
async def test_tcprelay_port_refused_says_so_and_goes_on(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    async with started(TCPRELAY, "10:0", "7:0") as program:
        closed, _, _ = _listening(await line_of(program.stdout))
        echoing, _, _ = _listening(await line_of(program.stdout))
        assert await ask(f"127.0.0.1:{closed}", b"") == b""
        for _ in range(2):
            await line_of(program.stderr)
        assert "refused the connection to port 10" in await line_of(program.stderr)
        assert await ask(f"127.0.0.1:{echoing}", b"hello") == b"hello"


@pytest.mark.asyncio
async def test_forward_takes_local_port_first(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    daemon.attach(2, "B")
    async with started(USBMUX, "forward", "-u", "B", "0:7") as program:
        port, device_port, udid = _listening(await line_of(program.stdout))
        assert (device_port, udid) == (7, "B")
        assert await line_of(program.stderr) == (
            f"usbmux: 127.0.0.1:{port} on this computer leads to port 7 of the phone B"
        )
        assert await ask(f"127.0.0.1:{port}", b"hello") == b"hello"


@pytest.mark.asyncio
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
@pytest.mark.parametrize("command", [(*TCPRELAY, "7:0"), (*USBMUX, "forward", "0:7")], ids=["tcprelay", "forward"])
async def test_signal_ends_it_cleanly_closing_connections(
    daemon: ScriptedDaemon, command: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    daemon.attach(1, "A")
    async with started(command) as program:
        port, _, _ = _listening(await line_of(program.stdout))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        program.send_signal(number)
        assert await reader.read() == b""
        writer.close()
        _, stderr = await program.communicate()
        assert program.returncode == code
        assert stderr.decode().splitlines()[1:] == [
            f"{'tcprelay' if command[:3] == TCPRELAY else 'usbmux'}: 127.0.0.1:{port}: "
            "1 connections, 1 of them open, 0 failed, 1 bytes to the phone, 1 from it"
        ]


@pytest.mark.asyncio
@pytest.mark.parametrize("order", ["tcprelay", "forward"])
async def test_port_taken_exits_1_naming_it(daemon: ScriptedDaemon, order: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        if order == "tcprelay":
            outcome = await run(TCPRELAY, f"7:{port}")
        else:
            outcome = await run(USBMUX, "forward", f"{port}:7")
    assert (outcome.code, outcome.stdout) == (1, b"")
    assert str(port) in outcome.stderr


@pytest.mark.asyncio
async def test_forward_pair_without_colon_exits_2_showing_the_form() -> None:
    outcome = await run(USBMUX, "forward", "2222")
    assert outcome.code == 2
    assert "write 2222:22" in outcome.stderr
