from __future__ import annotations

import asyncio
import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.commands.served import served
from usbmux import AsyncClient
from usbmux.capture.pcapng_reader import PcapngReader
from usbmux.client.admin import AdminClient
from usbmux.commands.top.monitor import Monitor
from usbmux.commands.top.names import PhoneNames
from usbmux.control.address import UnixAddress
from usbmux.errors import DaemonUnavailableError, UsbmuxError
from usbmux.testing import SimulatedPhone, echo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from usbmux.daemon.server import Daemon

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

UDID = "00008030-001A2B3C4D5E6F01"


@contextmanager
def monitor_in(folder: Path) -> Iterator[Monitor]:
    """Its clock goes on by a second with every look."""
    seconds = itertools.count()
    client = AdminClient(UnixAddress(str(folder / "mux.admin")), timeout_s=20)
    with Monitor(client, PhoneNames(lambda udids: {}), lambda: float(next(seconds))) as monitor:
        yield monitor


async def use_echo(daemon: Daemon, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await AsyncClient(daemon.addresses[0]).connect(UDID, 7)
    writer.write(data)
    assert await reader.readexactly(len(data)) == data
    return reader, writer


async def test_data_moves_between_two_looks_it_is_a_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, SimulatedPhone(UDID, ports={7: echo})) as (daemon, _bus):
        with monitor_in(tmp_path) as monitor:
            await asyncio.to_thread(monitor.sample)
            _reader, writer = await use_echo(daemon, b"word")
            sample = await asyncio.to_thread(monitor.sample)
            writer.close()
    assert (sample.to_phones_per_s, sample.from_phones_per_s) == (4, 4)
    assert [(row.client.number, row.to_phone.per_s) for row in sample.clients] == [(1, None)]


async def test_client_is_kicked_it_ends_and_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, SimulatedPhone(UDID, ports={7: echo})) as (daemon, _bus):
        reader, writer = await use_echo(daemon, b"word")
        with monitor_in(tmp_path) as monitor:
            assert await asyncio.to_thread(monitor.kick, 1) is True
            assert await reader.read() == b""
            assert await asyncio.to_thread(monitor.kick, 1) is False
            assert (await asyncio.to_thread(monitor.sample)).clients == ()
        writer.close()


async def test_daemon_is_another_one_monitor_goes_on_and_counts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monitor_in(tmp_path) as monitor:
        with pytest.raises(DaemonUnavailableError):
            monitor.sample()
        async with served(tmp_path, monkeypatch, SimulatedPhone(UDID, ports={7: echo})) as (daemon, _bus):
            _reader, writer = await use_echo(daemon, b"word")
            await asyncio.to_thread(monitor.sample)
            writer.close()
        for call in (monitor.sample, lambda: monitor.kick(1)):
            with pytest.raises(DaemonUnavailableError):
                await asyncio.to_thread(call)
        async with served(tmp_path, monkeypatch, SimulatedPhone(UDID)):
            sample = await asyncio.to_thread(monitor.sample)
    assert [phone.status.udid for phone in sample.phones] == [UDID]
    assert sample.to_phones_per_s is None


async def test_capture_is_begun_and_stopped_file_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.pcapng"
    async with served(tmp_path, monkeypatch, SimulatedPhone(UDID, ports={7: echo})) as (daemon, _bus):
        with monitor_in(tmp_path) as monitor:
            capture = await asyncio.to_thread(monitor.capture, UDID, str(path))
            _reader, writer = await use_echo(daemon, b"word")
            writer.close()
            await asyncio.to_thread(capture.stop)
    reader = PcapngReader()
    assert reader.receive_data(path.read_bytes()) == path.read_bytes()
    assert reader.packets == capture.packets > 5
    assert (capture.path, capture.error) == (str(path), None)


async def test_daemon_ends_during_a_capture_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch, SimulatedPhone(UDID)) as (daemon, _bus):
        with monitor_in(tmp_path) as monitor:
            capture = await asyncio.to_thread(monitor.capture, None, str(tmp_path / "file"))
            await daemon.close()
            await asyncio.to_thread(capture._thread.join, 20)
    assert capture.error == "the daemon has ended the capture"


async def test_file_is_there_already_it_stays_and_nothing_is_captured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("of somebody")
    async with served(tmp_path, monkeypatch) as (daemon, _bus):
        with monitor_in(tmp_path) as monitor, pytest.raises(UsbmuxError, match="File exists"):
            await asyncio.to_thread(monitor.capture, None, str(path))
        async with asyncio.timeout(20):
            while daemon.hub._sinks:  # noqa: ASYNC110 - nobody announces that a sink has gone
                await asyncio.sleep(0)
    assert path.read_text() == "of somebody"


async def test_question_is_under_way_and_interrupted_it_fails_at_once(tmp_path: Path) -> None:
    is_asked = asyncio.Event()

    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline()
        is_asked.set()
        assert await reader.read() == b""
        writer.close()

    async with await asyncio.start_unix_server(be_silent, str(tmp_path / "mux.admin")):
        with monitor_in(tmp_path) as monitor:
            asking = asyncio.create_task(asyncio.to_thread(monitor.sample))
            await is_asked.wait()
            monitor.interrupt()
            with pytest.raises(DaemonUnavailableError, match="hung up"):
                await asking
