from __future__ import annotations

import asyncio
import os
import pty
import socket
import tty
from contextlib import suppress
from subprocess import PIPE
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import USBMUX, run, started

if TYPE_CHECKING:
    from pathlib import Path

    from tests.relay.scripted_daemon import ScriptedDaemon

pytestmark = pytest.mark.slow

_DATA = bytes(range(251)) * 20_000


async def _send_and_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send much and end, whatever the client does."""
    writer.write(_DATA)
    await writer.drain()


async def _stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Keep the connection until the client closes it, also after its half-close."""
    await reader.read()
    with suppress(ConnectionError):
        while True:
            writer.write(b"")
            await asyncio.sleep(3600)


@pytest.mark.asyncio
async def test_stdin_pipe_ends_the_answer_still_arrives(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    outcome = await run(USBMUX, "connect", "9", stdin=_DATA)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"%d bytes" % len(_DATA), "")


@pytest.mark.asyncio
async def test_silent_phone_after_the_end_of_stdin_is_left_when_patience_ends(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    daemon.ports[10] = _stay_silent
    assert (await run(USBMUX, "connect", "-q", "0.05", "10", stdin=b"x")).code == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("patience", ["3e6", "1e300", "inf"])
async def test_patience_is_longer_than_the_system_waits_the_answer_still_arrives(
    daemon: ScriptedDaemon, patience: str
) -> None:
    daemon.attach(1, "A")
    outcome = await run(USBMUX, "connect", "-q", patience, "9", stdin=b"hello")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"5 bytes", "")


@pytest.mark.asyncio
async def test_stdin_pipe_and_stdout_pipe_carry_many_bytes_at_once(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    assert (await run(USBMUX, "connect", "7", stdin=_DATA)).stdout == _DATA


@pytest.mark.asyncio
async def test_stdin_file_and_stdout_file_carry_many_bytes(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    daemon.attach(1, "A")
    source, sink = tmp_path / "source", tmp_path / "sink"
    source.write_bytes(_DATA)
    with source.open("rb") as source_file, sink.open("wb") as sink_file:
        async with started(USBMUX, "connect", "7", stdin=source_file.fileno(), stdout=sink_file.fileno()) as program:
            assert await program.wait() == 0
    assert sink.read_bytes() == _DATA


@pytest.mark.asyncio
async def test_stdin_and_stdout_one_socket_carry_a_dialogue(daemon: ScriptedDaemon) -> None:
    """How some ssh clients start a ProxyCommand."""
    daemon.attach(1, "A")
    near, far = socket.socketpair()
    async with started(USBMUX, "connect", "7", stdin=far.fileno(), stdout=far.fileno()) as program:
        far.close()
        reader, writer = await asyncio.open_connection(sock=near)
        for line in (b"one\n", b"two\n"):
            writer.write(line)
            assert await reader.readline() == line
        writer.write_eof()
        assert await program.wait() == 0
        writer.close()


@pytest.mark.asyncio
async def test_stdin_terminal_carries_lines_until_its_end_key(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    master, terminal = pty.openpty()
    try:
        async with started(USBMUX, "connect", "7", stdin=terminal) as program:
            assert program.stdout is not None
            os.write(master, b"hello\n")
            assert await program.stdout.readline() == b"hello\n"
            os.write(master, b"\x04")
            assert await program.wait() == 0
    finally:
        os.close(master)
        os.close(terminal)


@pytest.mark.asyncio
async def test_stdin_terminal_mode_is_left_alone(daemon: ScriptedDaemon) -> None:
    """Non-blocking mode belongs to the terminal's other users too."""
    daemon.attach(1, "A")
    master, terminal = pty.openpty()
    try:
        tty.setraw(terminal)
        async with started(USBMUX, "connect", "7", stdin=terminal) as program:
            assert program.stdout is not None
            os.write(master, b"x")
            assert await program.stdout.readexactly(1) == b"x"
            assert os.get_blocking(terminal)
    finally:
        os.close(master)
        os.close(terminal)


@pytest.mark.asyncio
async def test_phone_ends_while_stdin_is_open_exits_with_all_bytes(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    daemon.ports[5] = _send_and_end
    async with started(USBMUX, "connect", "5", stdin=PIPE) as program:
        assert program.stdout is not None
        assert await program.stdout.read() == _DATA
        assert await program.wait() == 0


@pytest.mark.asyncio
async def test_stdout_closed_while_bytes_come_exits_quietly(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    daemon.ports[5] = _send_and_end
    readable, writable = os.pipe()
    async with started(USBMUX, "connect", "5", stdin=PIPE, stdout=writable) as program:
        os.close(writable)
        os.close(readable)
        assert program.stderr is not None
        assert await program.stderr.read() == b""
        assert await program.wait() == 0


@pytest.mark.asyncio
async def test_stdout_closed_while_nothing_comes_exits_too(daemon: ScriptedDaemon) -> None:
    """ssh gone, for one: nobody may keep the phone's port open then."""
    daemon.attach(1, "A")
    daemon.ports[5] = _stay_silent
    readable, writable = os.pipe()
    async with started(USBMUX, "connect", "5", stdin=PIPE, stdout=writable) as program:
        os.close(writable)
        await daemon.wait_requests("Connect", 1)
        os.close(readable)
        assert await program.wait() == 0


@pytest.mark.asyncio
async def test_port_refused_exits_6(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "A")
    outcome = await run(USBMUX, "connect", "10")
    assert (outcome.code, outcome.stdout) == (6, b"")
    assert "port 10" in outcome.stderr


@pytest.mark.asyncio
async def test_no_phone_exits_3(daemon: ScriptedDaemon) -> None:
    outcome = await run(USBMUX, "connect", "7")
    assert (outcome.code, outcome.stdout) == (3, b"")
    assert "no phone is attached" in outcome.stderr


@pytest.mark.asyncio
async def test_several_phones_exits_3_naming_them(daemon: ScriptedDaemon) -> None:
    daemon.attach(1, "AAAA")
    daemon.attach(2, "BBBB")
    outcome = await run(USBMUX, "connect", "7")
    assert outcome.code == 3
    assert "AAAA" in outcome.stderr
    assert "BBBB" in outcome.stderr


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["option", "variable"])
async def test_several_phones_and_one_chosen_reaches_it(
    daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    daemon.attach(1, "AAAA")
    daemon.attach(2, "BBBB")
    if way == "variable":
        monkeypatch.setenv("USBMUX_UDID", "BB")
    options = ["-u", "BB"] if way == "option" else []
    assert (await run(USBMUX, "connect", *options, "7", stdin=b"hello")).stdout == b"hello"


@pytest.mark.asyncio
@pytest.mark.parametrize("port", ["0", "65536", "ssh"])
async def test_port_senseless_exits_2(port: str) -> None:
    outcome = await run(USBMUX, "connect", port)
    assert (outcome.code, outcome.stdout) == (2, b"")
    assert port in outcome.stderr
