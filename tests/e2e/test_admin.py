"""Where the daemon process has its admin socket, and whether it has one."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.usbmuxd import COMMAND, UDIDS, Usbmuxd, start_usbmuxd
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from usbmux.admin.message import PhoneState, PhoneStatus
from usbmux.client.admin import AdminClient
from usbmux.control.address import UnixAddress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def phones(path: Path) -> tuple[PhoneStatus, ...]:
    """The phones of the daemon, when none of them is being opened any more."""
    client = AdminClient(UnixAddress(str(path)))
    while True:
        found = client.status().phones
        if PhoneState.OPENING not in [phone.state for phone in found]:
            return found


def states(path: Path) -> list[PhoneState]:
    return [phone.state for phone in phones(path)]


def sockets(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if stat.S_ISSOCK(entry.stat().st_mode)}


def test_nothing_is_said_it_is_beside_the_first_unix_socket_for_the_owner_alone(usbmuxd: Usbmuxd) -> None:
    path = usbmuxd.socket_path.with_name("usbmuxd.admin")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {(phone.udid, phone.state) for phone in phones(path)} == {
        (udid, PhoneState.ATTACHED) for udid in UDIDS.values()
    }
    assert usbmuxd.process.stop() == 0
    assert not path.exists()


def test_path_is_given_it_is_there_and_nowhere_else(tmp_path: Path) -> None:
    with start_usbmuxd(tmp_path, "--admin-socket", str(tmp_path / "inside")):
        assert states(tmp_path / "inside") == [PhoneState.ATTACHED] * 2
        assert sockets(tmp_path) == {"usbmuxd", "inside"}


def test_none_is_wanted_there_is_none(tmp_path: Path) -> None:
    with start_usbmuxd(tmp_path, "--admin-socket", "NONE"):
        assert not os.path.exists("NONE")
        assert sockets(tmp_path) == {"usbmuxd"}


@pytest.mark.parametrize("options", [[], ["--admin-socket", "{folder}/inside"]])
def test_daemon_has_no_unix_socket_it_has_an_admin_socket_only_if_told(tmp_path: Path, options: list[str]) -> None:
    command = [*COMMAND, "-S", "127.0.0.1:0", "--simulate", *(part.format(folder=tmp_path) for part in options)]
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        assert sockets(tmp_path) == ({"inside"} if options else set())
        assert process.stop() == 0


def test_path_beside_is_too_long_daemon_says_so_and_serves(tmp_path: Path) -> None:
    path = tmp_path / ("s" * (100 - len(f"{tmp_path}/")))
    assert len(str(path)) == 100
    with ChildProcess([*COMMAND, "-S", str(path), "--simulate"], environment=clean_environment()) as process:
        process.wait_for_line(
            r"^usbmuxd: no admin socket: \S+\.admin is too long; --admin-socket PATH puts it elsewhere$"
        )
        process.wait_for_line("^usbmuxd ready")
        assert sockets(tmp_path) == {path.name}


@pytest.fixture
def abstract() -> Iterator[socket.socket]:
    """A socket with a name and no file, that listens."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"\0usbmux-test-{os.getpid()}")
        sock.listen()
        yield sock


HANDING = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.chdir(sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are of Linux")
@pytest.mark.parametrize(
    ("options", "beside"),
    [
        ([], None),
        (["--admin-socket", "NONE"], None),
        (["--admin-socket", "inside"], "inside"),
        (["-S", "./usbmuxd"], "usbmuxd.admin"),
    ],
    ids=["nothing", "none", "path", "another socket"],
)
def test_socket_handed_over_has_no_file_admin_socket_is_not_made_of_its_name(
    tmp_path: Path, abstract: socket.socket, options: list[str], beside: str | None
) -> None:
    handing = [sys.executable, "-c", HANDING, str(abstract.fileno()), str(tmp_path)]
    command = [*handing, *COMMAND, "-s", "--config", "NONE", "-C", str(tmp_path / "records"), "--simulate", *options]
    name = f"unix:@usbmux-test-{os.getpid()}"
    with ChildProcess(command, environment=clean_environment(), pass_fds=[abstract.fileno()]) as process:
        process.wait_for_line(rf"^usbmuxd ready: {name}(, unix:./usbmuxd)?$")
        assert sockets(tmp_path) - {"usbmuxd"} == ({beside} if beside else set())
        assert process.stop() == 0
    complaint = f"usbmuxd: no admin socket: {name.removeprefix('unix:')} has no file; --admin-socket PATH makes one\n"
    assert (complaint in process.output) is (options == [])


@pytest.fixture
def on_loopback() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are of Linux")
@pytest.mark.parametrize("kind", ["abstract", "on_loopback"])
def test_admin_socket_handed_over_has_no_file_it_does_not_start(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    handed: socket.socket = request.getfixturevalue(kind)
    handing = [sys.executable, "-c", HANDING, str(handed.fileno()), str(tmp_path)]
    where = ["-S", "./usbmuxd", "-C", str(tmp_path / "records")]
    environment = {**clean_environment(), "LISTEN_FDNAMES": "admin"}
    with ChildProcess(
        [*handing, *COMMAND, "-s", "--config", "NONE", *where, "--simulate"],
        environment=environment,
        pass_fds=[handed.fileno()],
    ) as process:
        assert process.wait(20) == 1
    assert "is open to others: the admin socket is a Unix socket with a path" in process.output


def test_path_is_taken_by_something_else_daemon_is_refused_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "usbmuxd.admin").write_text("precious")
    command = [*COMMAND, "-S", str(tmp_path / "usbmuxd"), "--simulate"]
    with ChildProcess(command, environment=clean_environment()) as process:
        assert process.wait(20) == 1
    (line,) = process.output.splitlines()
    assert line.endswith(f"cannot listen at {tmp_path}/usbmuxd.admin: it is there and not a socket")
    assert (tmp_path / "usbmuxd.admin").read_text() == "precious"
    assert sockets(tmp_path) == set()


def test_daemon_was_killed_the_next_one_takes_its_place(tmp_path: Path) -> None:
    command = [*COMMAND, "-S", str(tmp_path / "usbmuxd"), "--simulate"]
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert sockets(tmp_path) == {"usbmuxd", "usbmuxd.admin"}
    with socket.socket(socket.AF_UNIX) as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(str(tmp_path / "usbmuxd.admin"))
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        assert states(tmp_path / "usbmuxd.admin") == [PhoneState.ATTACHED]
