"""Our daemon and Debian's on one fake usbfs, with the same phones and clients. Only ours must be right.

What came of it is printed when the tests have ended, for whoever runs them.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
import pytest_asyncio

from tests.daemon.harness import RawClient
from tests.interop.stimuli import DESCRIPTORS, STIMULI, Stimulus, Subject
from tests.support.daemon import clean_environment
from tests.support.debian_usbmuxd import require_debian_usbmuxd, start_debian_usbmuxd
from tests.support.process import ChildProcess
from tests.usb.usbfs.device import device_of_function
from tests.usb.usbfs.host import UsbfsHost, build_preload, environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kernel.figures import Figures

pytestmark = pytest.mark.interop

OURS, DEBIANS = "ours", "Debian's"
READY_WITHIN_S = 30.0
LIMITED = ("/bin/sh", "-c", f'ulimit -n {DESCRIPTORS} && exec "$0" "$@"')


class Bench:
    """A bus for one daemon, and the clients that a test has opened."""

    def __init__(self, folder: Path, preload: Path) -> None:
        self._folder = folder
        self._variables = environment(preload, folder / "usbfs")
        self._host = UsbfsHost()
        self._clients: list[RawClient] = []

    async def start(self, daemon: str, stimulus: Stimulus) -> Subject:
        """Returns when the daemon shows all phones."""
        await self._host.start(self._folder / "usbfs")
        phones = stimulus.make_phones()
        for number, phone in enumerate(phones):
            self._host.plug(device_of_function(phone, name=f"1-{number + 1}"))
        start = self._start_ours if daemon == OURS else self._start_debians
        self._process, self._socket_path = start()
        subject = Subject(self._connect, phones)
        await asyncio.wait_for(self._await_phones(subject), READY_WITHIN_S)
        return subject

    async def stop(self) -> None:
        for client in self._clients:
            client.close()
        # In a thread: to end well, the daemon needs the bus, which is served by this loop.
        await asyncio.to_thread(self._process.stop)
        await self._host.close()

    def _start_ours(self) -> tuple[ChildProcess, Path]:
        path = self._folder / "usbmuxd"
        settings = [f"{name}={value}" for name, value in self._variables.items()]
        # Without the pairing that it begins by itself, as Debian's: the phones are to hear of the clients only.
        command = [
            sys.executable,
            "-m",
            "usbmux.commands.usbmuxd",
            "-f",
            "-p",
            "-S",
            str(path),
            "-C",
            str(self._folder),
        ]
        return ChildProcess([*LIMITED, "env", *settings, *command], environment=clean_environment()), path

    def _start_debians(self) -> tuple[ChildProcess, Path]:
        return start_debian_usbmuxd(self._folder, self._variables, *LIMITED)

    async def _connect(self) -> RawClient:
        sock = socket.socket(socket.AF_UNIX)
        self._clients.append(client := RawClient(sock))
        # In a thread, for it waits while the daemon's queue is full, and asyncio takes a full queue for success.
        await asyncio.to_thread(sock.connect, str(self._socket_path))
        sock.setblocking(False)
        return client

    async def _await_phones(self, subject: Subject) -> None:
        while len(subject.device_ids) < len(subject.phones):
            await asyncio.sleep(0.02)  # not all daemons tell when they listen
            try:
                client = await self._connect()
            except OSError:
                continue
            devices = cast(list[dict[str, int]], (await client.request({"MessageType": "ListDevices"}))["DeviceList"])
            properties = [cast(dict[str, object], device["Properties"]) for device in devices]
            subject.device_ids = {str(each["SerialNumber"]): cast(int, each["DeviceID"]) for each in properties}
            client.close()


@pytest.fixture(scope="module")
def preload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not sys.platform.startswith("linux"):
        pytest.skip("usbfs is Linux only")
    library = build_preload(tmp_path_factory.mktemp("usbfs"))
    if library is None:
        pytest.skip("no C compiler for the fake usbfs")
    return library


@pytest_asyncio.fixture
async def bench(preload: Path) -> AsyncIterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="usbfs"))  # not below tmp_path: a socket's path is short
    bench = Bench(folder, preload)
    yield bench
    await bench.stop()
    shutil.rmtree(folder)


@pytest.mark.asyncio
@pytest.mark.parametrize("daemon", [OURS, DEBIANS])
@pytest.mark.parametrize("stimulus", STIMULI, ids=lambda stimulus: stimulus.name)
async def test_same_stimulus_each_daemon_is_asked_and_ours_is_right(
    bench: Bench, same_stimuli: Figures, stimulus: Stimulus, daemon: str
) -> None:
    if daemon == DEBIANS:
        require_debian_usbmuxd()
    subject = await bench.start(daemon, stimulus)
    answer = await stimulus.apply(subject)
    same_stimuli.record(stimulus.name, daemon, answer.text)
    if daemon == OURS:
        assert answer.is_right, answer.text
        assert [violation for phone in subject.phones for violation in phone.violations] == []
