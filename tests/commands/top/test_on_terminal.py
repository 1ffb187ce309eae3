"""The real process on a terminal, beside a daemon: for the main conversation a process too, else one of this loop."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import USBMUX
from tests.commands.served import served
from tests.e2e.usbmuxd import start_usbmuxd
from tests.support.daemon_on_usbfs import OURS, daemon_on_usbfs
from tests.support.terminal import Terminal, on_terminal
from tests.usb.usbfs.host import build_preload
from usbmux import AsyncClient
from usbmux.capture.pcapng_reader import PcapngReader
from usbmux.testing import SimulatedPhone, echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

UDID = "00008030-001A2B3C4D5E6F01"
OTHER_UDID = "00008110-000A1D2E3F4B5C6D"
OTHER_SCREEN = "\x1b[?1049h"
CTRL_C, ENTER, ESCAPE = "\x03", "\r", "\x1b"


def phone(udid: str = UDID) -> SimulatedPhone:
    return SimulatedPhone(udid, ports={7: echo})


async def stream() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await AsyncClient().connect(UDID, 7)
    writer.write(b"word")
    assert await reader.readexactly(4) == b"word"
    return reader, writer


@pytest.fixture
def _simulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A daemon process with two phones is the default one."""
    with start_usbmuxd(tmp_path) as usbmuxd:
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", str(usbmuxd.socket_path))
        yield


@asynccontextmanager
async def top_on_terminal(*, is_ready: bool = True) -> AsyncIterator[Terminal]:
    """The screen is there, or just about to be; and when it has gone the terminal is as it was before."""
    async with on_terminal(*USBMUX, "top", environment=os.environ, size=(160, 30)) as terminal:
        before = terminal.attributes
        await terminal.wait_for_output(OTHER_SCREEN)
        if is_ready:
            await terminal.wait_for("q Quit")
            assert terminal.attributes != before
        async with asyncio.timeout(100):
            yield terminal
            await terminal.process.wait()
        terminal.read()
        assert terminal.attributes == before
    for on, off in ((OTHER_SCREEN, "\x1b[?1049l"), ("\x1b[?25l", "\x1b[?25h"), ("\x1b[?2004h", "\x1b[?2004l")):
        assert terminal.output.rindex(off) > terminal.output.rindex(on)
    assert "\x1b[?1000h" not in terminal.output  # the mouse is the terminal's own


async def test_phone_comes_and_goes_it_is_seen_and_q_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("usb1", reason="the libusb binding is not installed")
    if not sys.platform.startswith("linux") or (preload := build_preload(tmp_path)) is None:
        pytest.skip("the bus of a daemon process is faked with a C compiler, on Linux")
    async with daemon_on_usbfs(OURS, preload, phone()) as daemon:
        await asyncio.to_thread(daemon.process.wait_for_line, "^usbmuxd ready")
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", str(daemon.socket_path))
        async with top_on_terminal() as terminal:
            for _ in range(2):
                await terminal.wait_for(rf"phones 1(?s:.)* 1-2 +attached .* 480 Mbit/s +{UDID}")
                daemon.host.unplug(daemon.device)
                await terminal.wait_for("phones 0")
                assert UDID not in terminal.screen
                daemon.host.plug(daemon.device)
            await terminal.wait_for(UDID)
            terminal.press("q")
    assert terminal.process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_signal_comes_it_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    async with served(tmp_path, monkeypatch, phone()), top_on_terminal() as terminal:
        terminal.process.send_signal(number)
    assert terminal.process.returncode == 0


async def test_signal_comes_while_the_screen_is_set_up_it_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch, phone()), top_on_terminal(is_ready=False) as terminal:
        terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.returncode == 0


@pytest.mark.parametrize("is_signal", [True, False])
async def test_it_is_interrupted_exit_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_signal: bool) -> None:
    async with served(tmp_path, monkeypatch, phone()), top_on_terminal() as terminal:
        if is_signal:
            terminal.process.send_signal(signal.SIGINT)
        else:
            terminal.press(CTRL_C)
    assert terminal.process.returncode == 130


@pytest.mark.usefixtures("_simulation")
async def test_client_moves_bytes_it_is_shown_and_kicked() -> None:
    async with top_on_terminal() as terminal:
        reader, writer = await stream()
        me = await terminal.wait_for(rf" (\d+) .* {os.getpid()} +{os.getuid()} +established +{UDID[:19]}")
        client = me[1]
        terminal.press("k")
        await terminal.wait_for(rf"End client {client} \(.*pid {os.getpid()}\), connected to port 7")
        terminal.press("n")
        await terminal.wait_gone("End client")
        writer.write(b"still")
        assert await reader.readexactly(5) == b"still"
        terminal.press("k")
        await terminal.wait_for("End client")
        terminal.press("y")
        assert await reader.read() == b""
        await terminal.wait_for("clients 0")
        writer.close()
        terminal.press("q")
    assert terminal.process.returncode == 0


@pytest.mark.usefixtures("_simulation")
async def test_words_are_typed_rows_are_filtered_at_once() -> None:
    async with top_on_terminal() as terminal:
        await terminal.wait_for("phones 2")
        terminal.press("/8110")
        await terminal.wait_for("phones 1 of 2")
        assert UDID not in terminal.screen
        terminal.press("q")  # a letter like others here
        await terminal.wait_for("phones 0 of 2")
        terminal.press(ESCAPE)
        await terminal.wait_for("phones 2 ")
        terminal.press("q")
    assert terminal.process.returncode == 0


async def test_capture_is_wanted_file_is_written_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "capture.pcapng"
    async with served(tmp_path, monkeypatch, phone()), top_on_terminal() as terminal:
        await terminal.wait_for(UDID)
        terminal.press("w")
        await terminal.wait_for(rf"File for what crosses(?s:.)*▊ +{UDID}\.pcapng")
        terminal.press(f"{path}{ENTER}")
        await terminal.wait_for("capturing to ")
        _reader, writer = await stream()
        writer.close()
        terminal.press("q")
    assert terminal.process.returncode == 0
    reader = PcapngReader()
    assert reader.receive_data(path.read_bytes()) == path.read_bytes()
    assert reader.packets > 3


async def test_window_is_made_small_and_wide_the_screen_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, phone()), top_on_terminal() as terminal:
        await terminal.wait_for(f"{UDID}.*\n")
        terminal.resize(60, 12)
        await terminal.wait_for(r"─╮\n(?s:.)*clients 0(?s:.)*q Quit")
        assert UDID not in terminal.screen  # it is to the right, where the arrow leads
        assert all(len(line) == 60 for line in terminal.screen.splitlines() if line.startswith("╭"))
        terminal.resize(180, 40)
        await terminal.wait_for(rf"{UDID}(?s:.)*clients 0(?s:.)*q Quit")
        terminal.press("q")
    assert terminal.process.returncode == 0


async def test_daemon_is_gone_it_says_so_and_goes_on_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch, phone()) as (daemon, _bus), top_on_terminal() as terminal:
        await terminal.wait_for(UDID)
        await daemon.close()
        await terminal.wait_for(r"no usbmux daemon at .*; trying again(?s:.)*phones 0")
        async with served(tmp_path, monkeypatch, phone(OTHER_UDID)):
            await terminal.wait_for(OTHER_UDID)
            terminal.press("q")
            await terminal.process.wait()
    assert terminal.process.returncode == 0


async def test_no_colour_is_wanted_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with served(tmp_path, monkeypatch, phone()), top_on_terminal() as terminal:
        await terminal.wait_for(UDID)
        terminal.press("q")
    assert not re.search(r"\x1b\[[\d;]*(3[0-7]|9[0-7]|4[0-7]|10[0-7]|38;|48;)[\d;]*m", terminal.output)
