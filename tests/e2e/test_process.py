"""The process: how it starts, says no, and ends."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import encode
from tests.e2e.usbmuxd import COMMAND, UDIDS, Usbmuxd, start_usbmuxd
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from usbmux import Client
from usbmux.admin.message import SUFFIX
from usbmux.client.admin import AdminClient
from usbmux.control.address import UnixAddress

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """The daemon with arguments that it must refuse."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=clean_environment(**environment),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_serving_signal_ends_it_with_0_and_removes_its_socket(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "usbmuxd"
    with ChildProcess([*COMMAND, "-S", str(path), "--simulate"], environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        with Client(str(path)).watch() as events:
            next(iter(events))
            _signal(process, number)
            assert process.wait() == 0
    assert not path.exists()
    assert "Traceback" not in process.output


def test_clients_of_every_kind_are_there_sigterm_ends_it_at_once(tmp_path: Path) -> None:
    with start_usbmuxd(tmp_path) as usbmuxd:
        client = usbmuxd.client()
        device = client.device(UDIDS[2])
        slow = client.connect(device, 19)
        slow.sendall((1 << 30).to_bytes(8))  # a phone that would fill it for long, and nobody reads
        open_streams = [client.connect(device, 7) for _ in range(3)]
        idle = socket.create_connection(("127.0.0.1", usbmuxd.tcp_port))
        watch = client.watch()
        watch.__enter__()
    for connection in (slow, idle, *open_streams):
        connection.close()
    watch.__exit__(None, None, None)


def test_socket_of_a_killed_daemon_is_there_next_one_serves(tmp_path: Path) -> None:
    path = tmp_path / "usbmuxd"
    arguments = [*COMMAND, "-S", str(path), "--simulate"]
    with ChildProcess(arguments, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        _signal(process, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert path.exists()
    with ChildProcess(arguments, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        assert len(Client(str(path)).devices()) == 1


def test_address_in_use_is_refused_and_the_first_daemon_serves_on(usbmuxd: Usbmuxd) -> None:
    for address in (str(usbmuxd.socket_path), f"127.0.0.1:{usbmuxd.tcp_port}"):
        refused = run("-S", address, "--simulate")
        assert refused.returncode == 1
        assert len(refused.stderr.splitlines()) == 1
        assert f"cannot listen at {address}: " in refused.stderr
    assert len(usbmuxd.client().devices()) == 2


def test_directory_missing_is_refused_with_one_line(tmp_path: Path) -> None:
    refused = run("-S", f"{tmp_path}/missing/usbmuxd", "--simulate")
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("usbmuxd: ")
    assert line.endswith(f"cannot listen at {tmp_path}/missing/usbmuxd: No such file or directory")


def test_something_else_at_the_path_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "usbmuxd").write_text("precious")
    refused = run("-S", f"{tmp_path}/usbmuxd", "--simulate")
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert (tmp_path / "usbmuxd").read_text() == "precious"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("not toml", "phones.toml: "),
        ("[[phone]]\n", "phone[0].udid"),
        ('[[phone]]\nudid = "x"\nversion = 3\n', "phone[0].version"),
        ('[[phone]]\nudid = "x"\n[phone.ports]\n22 = "nonsense"\n', "phone[0].ports.22"),
    ],
)
def test_file_of_phones_is_bad_one_line_says_where(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "phones.toml").write_text(text)
    refused = run("-S", f"{tmp_path}/usbmuxd", "--simulate", "phones.toml", cwd=tmp_path)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert complaint in refused.stderr


def test_file_of_phones_is_missing_one_line_says_so(tmp_path: Path) -> None:
    refused = run("-S", f"{tmp_path}/usbmuxd", "--simulate", "phones.toml", cwd=tmp_path)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert "phones.toml" in refused.stderr


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["--linger", "-1"], ["--linger", "soon"], ["-S"], ["-S", "nonsense", "--simulate"]]
)
def test_usage_is_wrong_status_is_2(arguments: list[str]) -> None:
    refused = run(*arguments)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def test_variable_holds_no_address_status_is_2_and_it_is_named() -> None:
    refused = run("--simulate", USBMUXD_SOCKET_ADDRESS="nonsense")
    assert refused.returncode == 2
    assert "USBMUXD_SOCKET_ADDRESS" in refused.stderr


def test_version_is_told() -> None:
    told = run("--version")
    assert told.returncode == 0
    assert told.stdout.startswith("usbmuxd ")


def test_descriptors_are_few_newcomers_are_refused_before_records_and_status_find_none(tmp_path: Path) -> None:
    path = tmp_path / "usbmuxd"
    options = ["-S", str(path), "-C", str(tmp_path / "records"), "--simulate"]
    limited = ["/bin/sh", "-c", 'ulimit -n 80; exec "$0" "$@"', *COMMAND, *options]
    with ChildProcess(limited, environment=clean_environment()) as process, ExitStack() as stack:
        process.wait_for_line("^usbmuxd ready")
        clients = [stack.enter_context(_connected(path)) for _ in range(100)]
        for refused in clients[40:]:
            assert refused.recv(1) == b""
        clients[0].sendall(encode({"MessageType": "ReadBUID"}))
        assert b"<key>BUID</key>" in clients[0].recv(4096)
        status = AdminClient(UnixAddress(f"{path}{SUFFIX}")).status(detailed=True)
        assert len(status.clients) == 40
        assert process.stop() == 0
    assert "ERROR" not in process.output


def test_soft_limit_of_descriptors_is_raised(tmp_path: Path) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    path = tmp_path / "usbmuxd"
    limited = ["/bin/sh", "-c", 'ulimit -S -n 64; exec "$0" "$@"', *COMMAND, "-S", str(path), "--simulate"]
    with ChildProcess(limited, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (hard, hard)


def _signal(process: ChildProcess, number: signal.Signals) -> None:
    os.kill(process.pid, number)


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(path))
    return connection
