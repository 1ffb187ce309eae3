"""A daemon with phones and silent clients sleeps: it wakes up for nothing but what it is asked, and signs of life."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.usbmuxd import COMMAND, start_usbmuxd
from tests.support.daemon import clean_environment
from tests.support.daemon_on_usbfs import OURS, daemon_on_usbfs
from tests.support.process import ChildProcess
from tests.support.system_calls import SystemCalls
from tests.usb.usbfs.host import build_preload
from usbmux import Client
from usbmux.testing import SimulatedPhone
from usbmux.testing.ports import echo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
CONNECTIONS = 200
SILENCE_S = 11.0
WITHIN_S = 60.0
"""Before it has settled there may be a list of the bus, 10 s after a change, and the limits of what has just begun."""
UEVENTS = 15
SIGNS = 10


def use(client: Client, stack: ExitStack) -> None:
    """Open connections and leave them alone; one client listens."""
    next(iter(stack.enter_context(client.watch())))
    devices = client.devices()
    for number in range(CONNECTIONS):
        stream = stack.enter_context(client.connect(devices[number % len(devices)], 7))
        stream.sendall(b"hello")
        assert stream.recv(5) == b"hello"


def test_phones_and_connections_are_silent_daemon_calls_nothing(tmp_path: Path) -> None:
    with start_usbmuxd(tmp_path) as usbmuxd, ExitStack() as stack:
        use(usbmuxd.client(), stack)
        with SystemCalls(usbmuxd.process.pid, tmp_path / "calls") as calls:
            assert calls.wait_silence(SILENCE_S, WITHIN_S) == ""
            begun = len(calls.names)
            assert len(usbmuxd.client().devices()) == 2
            assert len(calls.names) > begun


@pytest.mark.asyncio
async def test_phone_on_usbfs_is_silent_daemon_calls_nothing(tmp_path: Path) -> None:
    pytest.importorskip("usb1", reason="the libusb binding is not installed")
    if (preload := build_preload(tmp_path)) is None:
        pytest.skip("no C compiler for the fake usbfs")
    phone = SimulatedPhone(ports={7: echo})

    def judge(client: Client, pid: int) -> str:
        with ExitStack() as stack:
            use(client, stack)
            with SystemCalls(pid, tmp_path / "calls") as calls:
                return calls.wait_silence(SILENCE_S, WITHIN_S)

    # Udev hears the kernel by such a socket; the rest of it is played by the fake usbfs.
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, UEVENTS) as udev:
        udev.bind((0, 1))
        async with daemon_on_usbfs(OURS, preload, phone) as daemon:
            await asyncio.to_thread(daemon.process.wait_for_line, "^usbmuxd ready")
            client = Client(str(daemon.socket_path), timeout_s=20)
            assert await asyncio.to_thread(judge, client, daemon.process.pid) == ""


def test_service_manager_wants_signs_of_life_daemon_wakes_for_them_alone(tmp_path: Path) -> None:
    manager = tmp_path / "notify"
    with ExitStack() as stack:
        signs = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        signs.bind(str(manager))
        signs.settimeout(WITHIN_S)
        variables = {"NOTIFY_SOCKET": str(manager), "WATCHDOG_USEC": "500000"}
        command = [*COMMAND, "-S", str(tmp_path / "usbmuxd"), "-C", str(tmp_path / "records"), "--simulate"]
        process = stack.enter_context(ChildProcess(command, environment=clean_environment(**variables)))
        process.wait_for_line("^usbmuxd ready")
        calls = stack.enter_context(SystemCalls(process.pid, tmp_path / "calls"))
        while (names := calls.names).count("connect") < SIGNS:
            assert signs.recv(1000).startswith((b"READY=1", b"WATCHDOG=1"))
    # The loop turns twice for each, and once for what the phone's arrival has left to be looked at.
    assert names.count("epoll_wait") <= 2 * SIGNS + 5
    assert set(names) <= {"restart_syscall", "epoll_wait", "getpid", "connect", "sendto"}
