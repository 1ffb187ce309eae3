"""Thousands of clients at once: the daemon serves, refuses those that are too many, and forgets those that are gone."""

from __future__ import annotations

import os
import resource
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import encode
from tests.e2e.usbmuxd import start_usbmuxd
from usbmux.admin.message import SUFFIX, ClientActivity
from usbmux.client.admin import AdminClient
from usbmux.control.address import UnixAddress
from usbmux.daemon.registry import MAX_LISTED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
CLIENTS = 5000
PATIENCE_S = 60.0
LISTEN = encode({"MessageType": "Listen"}, 1)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """As many as this process needs, if it may have them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CLIENTS + 500:
        pytest.skip(f"this process may have {hard} descriptors only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (CLIENTS + 500, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def dial(path: Path, stack: ExitStack) -> socket.socket:
    sock = stack.enter_context(socket.socket(socket.AF_UNIX))
    sock.connect(str(path))  # with a timeout it would not wait for room in the daemon's queue
    sock.settimeout(PATIENCE_S)
    return sock


def listening(path: Path) -> int:
    status = AdminClient(UnixAddress(f"{path}{SUFFIX}")).status(detailed=True)
    return sum(client.what is ClientActivity.LISTENING for client in status.clients)


def descriptors_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.usefixtures("many_descriptors")
def test_5000_clients_half_of_them_listening_are_served_and_forgotten(tmp_path: Path) -> None:
    with start_usbmuxd(tmp_path, "--max-clients-for-each-user", str(CLIENTS + 100)) as usbmuxd:
        client = usbmuxd.client()
        assert len(client.devices()) == 2
        before = descriptors_of(usbmuxd.process.pid)
        with ExitStack() as stack:
            clients = [dial(usbmuxd.socket_path, stack) for _ in range(CLIENTS)]
            for listener in clients[::2]:
                listener.sendall(LISTEN)
            for listener in clients[::2]:
                assert listener.recv(16)
            assert len(client.listeners()) == MAX_LISTED
            assert listening(usbmuxd.socket_path) == CLIENTS // 2
            with client.connect(client.devices()[0], 7) as stream:
                stream.sendall(b"still quick")
                assert stream.recv(11) == b"still quick"
        while descriptors_of(usbmuxd.process.pid) > before:
            assert len(client.devices()) == 2  # each answer is a turn of its loop in which it may have closed more


@pytest.mark.usefixtures("many_descriptors")
def test_more_than_its_share_for_one_user_is_refused_at_once(tmp_path: Path) -> None:
    with start_usbmuxd(tmp_path, "--max-clients-for-each-user", "1000") as usbmuxd, ExitStack() as stack:
        clients = [dial(usbmuxd.socket_path, stack) for _ in range(1200)]
        for refused in clients[1000:]:
            assert refused.recv(1) == b""
        clients[0].sendall(encode({"MessageType": "ListDevices"}, 1))
        assert clients[0].recv(16)
