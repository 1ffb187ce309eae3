"""Captures begun while phones are being used, by a process of ours, and read by a program that knows TCP."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.capture.serving import DIGEST, ECHO, SENT, SOURCE
from tests.commands.program import USBMUX, line_of, started
from tests.commands.served import served
from tests.e2e.usbmuxd import UDIDS, start_usbmuxd
from tests.interop.capture_file import Capture, capture_reader
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from tests.support.streams import MEBIBYTE, echoed, receive_exactly
from usbmux import AsyncClient
from usbmux.testing import SimulatedPhone, echo, pattern

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from tests.e2e.usbmuxd import Usbmuxd
    from tests.interop.compatibility import CompatibilityTable

pytestmark = pytest.mark.interop


@pytest.fixture
def capture_of(compatibility: CompatibilityTable) -> Callable[[Path], Capture]:
    return capture_reader(compatibility, "usbmux capture -w FILE")


@contextmanager
def capturing(usbmuxd: Usbmuxd, path: Path) -> Iterator[ChildProcess]:
    """A capture that has begun."""
    command = [sys.executable, "-m", "usbmux", "capture", "--socket", str(usbmuxd.socket_path), "-w", str(path)]
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmux: capturing all phones")
        yield process


def finish(process: ChildProcess) -> tuple[int, int]:
    """Ends a capture well; how many packets it has, and how many are missing."""
    os.kill(process.pid, signal.SIGINT)
    counts = process.wait_for_line(r"^usbmux: (\d+) packets captured, (\d+) dropped$")
    assert process.wait() == 0
    return int(counts[1]), int(counts[2])


def ask_for(connection: socket.socket, length: int) -> None:
    connection.sendall(length.to_bytes(8))


def test_transfers_under_way_capture_has_an_unbroken_part_of_each(
    tmp_path: Path, capture_of: Callable[[Path], Capture]
) -> None:
    path = tmp_path / "capture"
    total = 8 * MEBIBYTE
    with start_usbmuxd(tmp_path) as usbmuxd:
        client = usbmuxd.client()
        transfers = [client.connect(udid, SOURCE) for udid in UDIDS.values()]
        for connection in transfers:
            ask_for(connection, total)
            assert len(receive_exactly(connection, MEBIBYTE)) == MEBIBYTE
        with capturing(usbmuxd, path) as process:
            for connection in transfers:
                assert len(receive_exactly(connection, 2 * MEBIBYTE)) == 2 * MEBIBYTE
            for udid in UDIDS.values():
                assert echoed(client.connect(udid, ECHO), SENT) == SENT
            packets, dropped = finish(process)
        for connection in transfers:
            rest = receive_exactly(connection, total - 3 * MEBIBYTE)
            assert rest == pattern(total - 3 * MEBIBYTE, 3 * MEBIBYTE)
            connection.close()
    capture = capture_of(path)
    capture.assert_sound()
    assert dropped == 0
    assert len(capture.fields("frame", "frame.number")) == packets
    streams = capture.streams()
    assert sorted(len(sent) for sent, _received in streams) == [0, 0, len(SENT), len(SENT)]
    everything = bytes(pattern(total))
    for sent, received in streams:
        if sent:
            assert (sent, received) == (SENT, SENT)
        else:
            assert len(received) > MEBIBYTE
            assert received in everything
    joined = capture.fields('frame.comment contains "under way"', "frame.interface_name")
    assert sorted(name for (name,) in joined) == sorted(UDIDS.values())


def test_host_sends_without_pause_capture_begins_amid_it_and_is_sound(
    tmp_path: Path, capture_of: Callable[[Path], Capture]
) -> None:
    path = tmp_path / "capture"
    with start_usbmuxd(tmp_path) as usbmuxd:
        connections = [usbmuxd.client().connect(udid, DIGEST) for udid in UDIDS.values()]
        words = bytes(pattern(4 * MEBIBYTE))
        for connection in connections:
            connection.sendall((2 * len(words)).to_bytes(8) + words)
        with capturing(usbmuxd, path) as process:
            for connection in connections:
                connection.sendall(words)
                assert len(receive_exactly(connection, 32)) == 32
            finish(process)
        for connection in connections:
            connection.close()
    capture = capture_of(path)
    capture.assert_sound()
    for sent, received in capture.streams():
        assert len(sent) >= len(words)
        assert sent in words + words
        assert len(received) == 32


def test_two_captures_at_once_each_has_everything(tmp_path: Path, capture_of: Callable[[Path], Capture]) -> None:
    paths = [tmp_path / "first", tmp_path / "second"]
    with (
        start_usbmuxd(tmp_path) as usbmuxd,
        capturing(usbmuxd, paths[0]) as first,
        capturing(usbmuxd, paths[1]) as second,
    ):
        for udid in UDIDS.values():
            assert echoed(usbmuxd.client().connect(udid, ECHO), SENT) == SENT
        finish(first)
        assert echoed(usbmuxd.client().connect(UDIDS[1], ECHO), b"word") == b"word"
        finish(second)
    captures = [capture_of(path) for path in paths]
    for capture in captures:
        capture.assert_sound()
    assert captures[0].streams() == [(SENT, SENT)] * 2
    assert captures[1].streams() == [(SENT, SENT)] * 2 + [(b"word", b"word")]


@pytest.mark.slow
def test_reader_is_stopped_transfer_goes_on_and_the_file_says_what_is_missing(
    tmp_path: Path, capture_of: Callable[[Path], Capture]
) -> None:
    path = tmp_path / "capture"
    total = 40 * MEBIBYTE  # more than twice of what the daemon keeps for a reader
    with start_usbmuxd(tmp_path) as usbmuxd, capturing(usbmuxd, path) as process:
        os.kill(process.pid, signal.SIGSTOP)
        connection = usbmuxd.client().connect(UDIDS[2], SOURCE)
        ask_for(connection, total)
        assert receive_exactly(connection, total) == pattern(total)
        connection.close()
        os.kill(process.pid, signal.SIGCONT)
        packets, dropped = finish(process)
    capture = capture_of(path)
    assert capture.fields("_ws.malformed", "frame.number") == []
    statuses = capture.fields("tcp", "tcp.checksum.status")
    assert statuses
    assert all(status == ["1"] for status in statuses)
    assert len(capture.fields("frame", "frame.number")) == packets
    assert dropped > 0


def test_capturing_process_is_killed_daemon_keeps_nothing_of_it(tmp_path: Path) -> None:
    with start_usbmuxd(tmp_path) as usbmuxd:
        pid = usbmuxd.process.pid
        assert echoed(usbmuxd.client().connect(UDIDS[1], ECHO), b"word") == b"word"
        before = _descriptors(pid)
        with capturing(usbmuxd, tmp_path / "capture") as process:
            os.kill(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert echoed(usbmuxd.client().connect(UDIDS[1], ECHO), SENT) == SENT
        _wait_until_none_but(before, pid)


@pytest.mark.asyncio
async def test_phones_come_and_go_capture_has_an_interface_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capture_of: Callable[[Path], Capture]
) -> None:
    path = tmp_path / "capture"
    first, second = (SimulatedPhone(udid, ports={ECHO: echo}) for udid in UDIDS.values())
    async with served(tmp_path, monkeypatch, first) as (daemon, bus):
        client = AsyncClient(daemon.addresses[0])
        async with started(USBMUX, "capture", "-w", str(path)) as program, client.watch() as events:
            assert re.search("capturing", await line_of(program.stderr))
            assert (await anext(aiter(events))).device.udid == first.udid
            bus.plug(second)
            assert (await anext(aiter(events))).device.udid == second.udid
            bus.unplug(first)
            await anext(aiter(events))
            bus.plug(first)
            await anext(aiter(events))
            for phone in (first, second):
                reader, writer = await client.connect(phone.udid, ECHO)
                writer.write(b"word")
                assert await reader.readexactly(4) == b"word"
                writer.close()
                await writer.wait_closed()
            program.send_signal(signal.SIGINT)
            await program.communicate()
    capture = capture_of(path)
    capture.assert_sound()
    assert [(sent, received) for sent, received in capture.streams()] == [(b"word", b"word")] * 2
    names = capture.fields('frame.comment contains "link"', "frame.interface_name", "frame.interface_id")
    assert names == [[first.udid, "0"], [second.udid, "1"], [first.udid, "0"], [first.udid, "0"]]


def _descriptors(pid: int) -> set[tuple[str, str]]:
    """The numbers of those that are open, and what they are: each socket has a name of its own."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add((entry.name, os.readlink(entry)))
    return found


def _wait_until_none_but(those: set[tuple[str, str]], pid: int, within_s: float = 10.0) -> None:
    end = time.monotonic() + within_s
    while new := _descriptors(pid) - those:
        assert time.monotonic() < end, new
        time.sleep(0.01)  # a client hears of the end of its stream before the daemon has closed the socket
