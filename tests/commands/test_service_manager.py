from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from usbmux.commands import service_manager
from usbmux.commands.service_manager import ServiceManager

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no such manager")


def test_no_manager_nothing_is_said_and_nothing_was_handed() -> None:
    manager = ServiceManager({})
    manager.notify("READY=1")
    assert manager.sockets == ()
    assert manager.watchdog_s is None


@pytest.mark.parametrize("is_abstract", [False, True])
def test_notify_sends_one_datagram(tmp_path: Path, is_abstract: bool) -> None:
    name = f"usbmux-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name if is_abstract else name)
        environment = {"NOTIFY_SOCKET": "@" + name if is_abstract else name, "PATH": "/bin"}
        manager = ServiceManager(environment)
        manager.notify("READY=1", "STATUS=well")
        assert sock.recv(100) == b"READY=1\nSTATUS=well"
    assert environment == {"PATH": "/bin"}
    manager.notify("STOPPING=1")  # nobody is there any more
    manager.close()


def test_manager_is_started_anew_it_is_told_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    manager = ServiceManager({"NOTIFY_SOCKET": str(path)})
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(str(path))
            manager.notify("READY=1")
            assert sock.recv(100) == b"READY=1"
        path.unlink()
    manager.close()


def test_no_descriptor_is_left_life_is_shown_all_the_same(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        subprocess.run([sys.executable, "-c", WITHOUT_DESCRIPTORS], env=environment, check=True, timeout=30)
        assert sock.recv(100) == b"WATCHDOG=1"


WITHOUT_DESCRIPTORS = """
import os, resource
from usbmux.commands.service_manager import ServiceManager
manager = ServiceManager(os.environ)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
manager.show_life()
"""


def test_manager_reads_nothing_what_is_too_much_is_not_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_manager, "PATIENCE_S", 0.01)
    kind = socket.AF_UNIX, socket.SOCK_DGRAM
    with socket.socket(*kind) as sock, socket.socket(*kind) as us:
        sock.bind(str(tmp_path / "notify"))
        us.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                us.sendto(b"others", str(tmp_path / "notify"))
        manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        manager.notify("READY=1")
        manager.show_life()
        sock.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                assert sock.recv(100) == b"others"
        manager.show_life("STATUS=well")
        assert sock.recv(100) == b"WATCHDOG=1\nSTATUS=well"
        manager.close()


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog(variables: dict[str, str], seconds: float | None) -> None:
    assert ServiceManager(variables).watchdog_s == seconds
    assert variables == {}


SERVICE = """
import os, socket, sys
from usbmux.commands.service_manager import ServiceManager
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
pid = os.getpid() if sys.argv[3] == "us" else 1
handed = ServiceManager({"LISTEN_PID": str(pid), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "usbmuxd"}).sockets
print([(each.name, each.sock.getsockname(), each.sock.getblocking(), os.get_inheritable(each.sock.fileno()))
       for each in handed])
"""


@pytest.mark.parametrize("whose", ["us", "another"])
def test_sockets_handed_over_are_taken_if_they_are_for_us(tmp_path: Path, whose: str) -> None:
    paths = [str(tmp_path / name) for name in ("one", "two")]
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        for sock, path in zip((one, two), paths, strict=True):
            sock.bind(path)
            sock.listen()
        descriptors = [one.fileno(), two.fileno()]
        command = [sys.executable, "-c", SERVICE, *map(str, descriptors), whose]
        said = subprocess.run(command, pass_fds=descriptors, capture_output=True, text=True, check=True, timeout=30)
    expected = [("usbmuxd", paths[0], False, False), ("unknown", paths[1], False, False)] if whose == "us" else []
    assert said.stdout.strip() == repr(expected)


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        ("os.close(3)", "descriptor 3 of the service manager: Bad file descriptor"),
        ("os.dup2(1, 3)", "descriptor 3 of the service manager: Socket operation on non-socket"),
        ("os.dup2(stream.fileno(), 3)", "descriptor 3 of the service manager is no socket that listens"),
        ("os.dup2(datagram.fileno(), 3)", "descriptor 3 of the service manager is no socket that listens"),
    ],
)
def test_what_is_handed_over_does_not_listen_it_is_named(made: str, complaint: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", BAD_SERVICE, made], capture_output=True, text=True, check=True, timeout=30
    )
    assert said.stdout == f"{complaint}\n"


BAD_SERVICE = """
import os, socket, sys
from usbmux.commands.service_manager import ServiceManager
from usbmux.errors import ConfigurationError
os.dup2(1, 3)  # so that nothing else is there
stream, datagram = socket.socketpair()[0], socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0]
exec(sys.argv[1])
try:
    ServiceManager({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
except ConfigurationError as error:
    print(error)
os._exit(sys.stdout.flush() or 0)
"""
