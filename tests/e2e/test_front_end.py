"""The daemon as a process of the system: background, pid file, signals, service manager, rights."""

from __future__ import annotations

import os
import pwd
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.usbmuxd import COMMAND, write_phones
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from usbmux import Client
from usbmux.errors import DaemonUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other ways")
BACKGROUND = COMMAND[:-1]
PATIENCE_S = 30.0
is_root = os.name == "posix" and os.getuid() == 0


class Folder:
    """A place for one daemon in the background, which is ended at last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = path / "usbmuxd"
        self.pid_file = path / "pid"
        self.log = path / "log"
        self.configuration = path / "usbmuxd.toml"
        self.configuration.write_text("")

    @property
    def command(self) -> list[str]:
        where = {"-S": self.socket, "-P": self.pid_file, "-l": self.log, "-C": self.path / "records"}
        options = [word for option, path in where.items() for word in (option, str(path))]
        return [*BACKGROUND, *options, "--config", str(self.configuration)]

    def run(self, *arguments: str, through: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """The command, begun by another one, until it has returned."""
        return subprocess.run(
            [*through, *self.command, *arguments],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def pid(self) -> int:
        return int(self.pid_file.read_text())

    def client(self) -> Client:
        return Client(str(self.socket), timeout_s=20)

    def wait_gone(self, pid: int) -> None:
        wait_until(lambda: not Path(f"/proc/{pid}/stat").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    if folder.pid_file.exists():
        pid = folder.pid()
        os.kill(pid, signal.SIGKILL)
        folder.wait_gone(pid)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may pass through."""
    with tempfile.TemporaryDirectory(prefix="usbmux-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def wait_until(is_so: object) -> None:
    assert callable(is_so)
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def test_in_the_background_it_returns_when_it_serves(folder: Folder) -> None:
    started = folder.run("--simulate")
    assert (started.returncode, started.stderr) == (0, "")
    assert len(folder.client().devices()) == 1
    pid = folder.pid()
    assert os.getsid(pid) not in (os.getsid(0), pid)
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)} == {"/dev/null"}
    assert folder.run("-X").returncode == 0
    folder.wait_gone(pid)
    assert not folder.pid_file.exists()
    assert not folder.socket.exists()


@pytest.mark.parametrize("closed", ["<&- >&-", "<&- >&- 2>&-"])
def test_in_the_background_without_standard_streams_it_serves_as_well(folder: Folder, closed: str) -> None:
    started = folder.run("--simulate", through=("sh", "-c", f'exec "$@" {closed}', "sh"))
    assert (started.returncode, started.stderr) == (0, "")
    assert len(folder.client().devices()) == 1
    assert {os.readlink(f"/proc/{folder.pid()}/fd/{number}") for number in range(3)} == {"/dev/null"}


def test_in_the_background_a_start_that_fails_is_told_by_status_and_words(folder: Folder) -> None:
    folder.socket.write_text("precious")
    failed = folder.run("--simulate")
    assert failed.returncode == 1
    assert "it is there and not a socket" in failed.stderr
    assert not folder.pid_file.exists()


def test_in_the_background_sockets_that_were_handed_over_are_refused(folder: Folder) -> None:
    hand_over = ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh"]
    outcome = folder.run("--simulate", through=hand_over)
    words = "usbmuxd: sockets that were handed over are for one process: --systemd or --foreground takes them\n"
    assert (outcome.returncode, outcome.stderr) == (1, words)
    assert not folder.socket.exists()


@pytest.mark.parametrize("option", ["-l", "-P"])
def test_in_the_background_a_file_that_cannot_be_made_is_named(folder: Folder, option: str) -> None:
    failed = folder.run("--simulate", option, "/no/such/directory")
    assert (failed.returncode, failed.stderr) == (1, "usbmuxd: /no/such/directory: No such file or directory\n")


def test_in_the_background_relative_paths_are_those_of_the_caller(folder: Folder) -> None:
    write_phones(folder.path)
    where = ["-S", "./usbmuxd", "-P", "pid", "-l", "log", "-C", "records", "--config", "usbmuxd.toml"]
    started = subprocess.run(
        [*BACKGROUND, *where, "--simulate", "phones.toml"],
        cwd=folder.path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (started.returncode, started.stderr) == (0, "")
    assert folder.client().buid()
    assert (folder.path / "records/SystemConfiguration.plist").exists()
    pid = folder.pid()
    folder.log.rename(folder.path / "log.1")
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: folder.log.exists() and "reloaded: " in folder.log.read_text())
    assert "not reloaded" not in folder.log.read_text()
    folder.run("-X")
    folder.wait_gone(pid)
    assert {path.name for path in folder.path.iterdir()} == {"log", "log.1", "records", "usbmuxd.toml", "phones.toml"}


def test_pid_file_is_locked_a_second_daemon_is_refused(folder: Folder) -> None:
    folder.run("--simulate")
    refused = folder.run("--simulate", "-f", "-S", str(folder.path / "other"))
    assert refused.returncode == 1
    assert f"another usbmuxd is running (pid {folder.pid()})" in refused.stderr


def test_udev_second_daemon_only_tells_the_first_to_look(folder: Folder) -> None:
    assert folder.run("-u", "-v", "--simulate").returncode == 0
    pid = folder.pid()
    assert folder.run("-u", "--simulate").returncode == 0
    assert folder.pid() == pid
    assert len(folder.client().devices()) == 1


def test_udev_several_begin_at_once_all_end_well_and_one_serves(folder: Folder) -> None:
    command = [*folder.command, "-u", "--simulate"]
    started = [subprocess.Popen(command, env=clean_environment()) for _ in range(4)]
    assert [each.wait(PATIENCE_S) for each in started] == [0] * 4
    assert len(folder.client().devices()) == 1


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGHUP])
def test_daemon_has_only_begun_what_is_asked_of_it_does_not_kill_it(folder: Folder, number: signal.Signals) -> None:
    with subprocess.Popen([*folder.command, "-u", "--simulate"], env=clean_environment()) as started:
        while (
            not folder.pid_file.exists() or not folder.pid_file.read_text()
        ):  # at once: it is a matter of milliseconds
            assert started.poll() is None
        os.kill(folder.pid(), number)
        assert started.wait(PATIENCE_S) == 0
    assert len(folder.client().devices()) == 1


def test_exit_ends_it_only_if_it_lets_and_no_phone_is_attached(folder: Folder) -> None:
    folder.run("--simulate")
    assert folder.run("-x").returncode == 0
    wait_until(lambda: "allowed by --enable-exit only" in folder.log.read_text())
    pid = folder.pid()
    folder.run("-X")
    folder.wait_gone(pid)
    folder.log.unlink()
    folder.run("-z", "--simulate")
    folder.run("-x")
    wait_until(lambda: "but 1 phones are attached" in folder.log.read_text())
    assert len(folder.client().devices()) == 1


def test_exit_without_phones_ends_it(folder: Folder) -> None:
    folder.run("-z", "--simulate", "0")
    pid = folder.pid()
    assert folder.run("-x").returncode == 0
    folder.wait_gone(pid)


def test_exit_no_daemon_is_there_says_so(folder: Folder) -> None:
    folder.pid_file.write_text(f"{os.getpid()}\n")  # left behind, and the number belongs to somebody else by now
    assert folder.run("-X").returncode == 4
    folder.pid_file.unlink()
    assert folder.run("-x").returncode == 4


def test_hup_opens_the_log_anew_and_reads_the_rules_again(folder: Folder) -> None:
    folder.run("--simulate")
    moved = folder.path / "log.1"
    folder.log.rename(moved)
    folder.configuration.write_text("[[rule]]\nudids = []\n")
    os.kill(folder.pid(), signal.SIGHUP)
    wait_until(lambda: folder.log.exists() and "reloaded" in folder.log.read_text())
    assert "reloaded" not in moved.read_text()
    assert folder.client().devices() == []
    folder.configuration.write_text("[[rule]]\nudid = []\n")
    os.kill(folder.pid(), signal.SIGHUP)
    wait_until(
        lambda: f"not reloaded: {folder.configuration}:2: [[rule]]: unknown key 'udid'" in folder.log.read_text()
    )
    assert folder.client().devices() == []


def test_hup_the_file_makes_no_sense_as_a_whole_the_daemon_serves_on(folder: Folder) -> None:
    folder.run("--simulate")
    folder.configuration.write_text('trace = "/x"\ncapture = "/x"\n')
    os.kill(folder.pid(), signal.SIGHUP)
    wait_until(lambda: f"not reloaded: {folder.configuration}: two traces" in folder.log.read_text())
    assert len(folder.client().devices()) == 1


SERVICE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="usbmuxd")
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_under_a_service_manager_it_serves_the_socket_it_was_handed_and_shows_life(tmp_path: Path) -> None:
    path = tmp_path / "usbmuxd"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        listener.bind(str(path))
        listener.listen()
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(PATIENCE_S)
        waiting = socket.socket(socket.AF_UNIX)
        waiting.connect(str(path))  # before there is anybody
        for _ in range(2):  # a restart refuses nobody
            command = [sys.executable, "-c", SERVICE, str(listener.fileno()), *BACKGROUND, "-s", "--simulate", "-v"]
            environment = clean_environment(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="100000")
            with ChildProcess(
                [*command, "-C", str(tmp_path / "records")], environment=environment, pass_fds=[listener.fileno()]
            ) as process:
                assert notify.recv(200) == b"READY=1\nSTATUS=1 phones, 0 clients"
                for _ in range(3):
                    assert notify.recv(200).startswith(b"WATCHDOG=1\nSTATUS=1 phones, ")
                assert len(Client(str(path)).devices()) == 1
                os.kill(process.pid, signal.SIGTERM)
                while not (said := notify.recv(200)).startswith(b"STOPPING=1"):
                    assert said.startswith(b"WATCHDOG=1")
                assert process.wait() == 0
            assert path.exists()
            assert "<6>usbmux.daemon: " in process.output
            waiting.close()
            waiting = socket.socket(socket.AF_UNIX)
            waiting.connect(str(path))
        waiting.close()


@pytest.mark.skipif(not is_root, reason="only root can become somebody else")
def test_user_is_given_it_becomes_that_user_without_any_capability(public: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    records = public / "records"
    records.mkdir()
    os.chown(records, nobody.pw_uid, nobody.pw_gid)
    command = [*COMMAND, "-S", str(public / "usbmuxd"), "-C", str(records), "-U", "nobody", "--simulate"]
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert status["Uid"].split() == [str(nobody.pw_uid)] * 4
        assert status["Gid"].split() == [str(nobody.pw_gid)] * 4
        assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert status["NoNewPrivs"] == "1"
        assert int(status["Umask"], 8) == 0o077
        assert Client(str(public / "usbmuxd")).buid()
    assert {path.stat().st_uid for path in records.iterdir()} == {nobody.pw_uid}


@pytest.mark.skipif(not is_root, reason="only root can become somebody else")
def test_user_may_not_remove_what_root_made_it_stays_and_does_not_hinder_the_next_start(public: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    records = public / "records"
    records.mkdir()
    os.chown(records, nobody.pw_uid, nobody.pw_gid)
    where = ["-S", str(public / "usbmuxd"), "-C", str(records), "-P", str(public / "pid")]
    for _ in range(3):
        with ChildProcess([*COMMAND, *where, "-U", "nobody", "--simulate"], environment=clean_environment()) as process:
            process.wait_for_line("^usbmuxd ready")
            assert len(Client(str(public / "usbmuxd")).devices()) == 1
            assert process.stop() == 0
        assert {path.name for path in public.iterdir()} == {"records", "usbmuxd", "usbmuxd.admin", "pid"}
        assert (public / "pid").read_text() == ""
        with pytest.raises(DaemonUnavailableError):  # at once, as if there were nothing
            Client(str(public / "usbmuxd")).devices()


@pytest.mark.skipif(not is_root, reason="only root can become somebody else")
def test_user_may_make_no_log_hup_reads_the_configuration_all_the_same(public: Path) -> None:
    log, configuration = public / "log", public / "usbmuxd.toml"
    configuration.write_text("")
    where = ["-S", str(public / "usbmuxd"), "-C", str(public / "records"), "-l", str(log)]
    command = [*COMMAND, *where, "--config", str(configuration), "-U", "nobody", "--simulate"]
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        configuration.write_text("[[rule]]\nudids = []\n")
        os.kill(process.pid, signal.SIGHUP)
        wait_until(lambda: "reloaded" in log.read_text())
        assert "not reloaded" not in log.read_text()
        assert Client(str(public / "usbmuxd")).devices() == []


def test_user_is_unknown_it_does_not_start(tmp_path: Path) -> None:
    command = [*COMMAND, "-S", str(tmp_path / "usbmuxd"), "-U", "no such user", "--simulate"]
    with ChildProcess(command, environment=clean_environment()) as process:
        assert process.wait() == 2
    assert "there is no user 'no such user'" in process.output


def test_tcp_that_others_reach_is_refused(tmp_path: Path) -> None:
    command = [*COMMAND, "-S", "0.0.0.0:0", "--simulate"]
    with ChildProcess(command, environment=clean_environment()) as process:
        assert process.wait() == 2
    assert "can be reached from other computers" in process.output


def test_descriptors_run_out_newcomers_are_refused_and_the_daemon_serves_on(tmp_path: Path) -> None:
    path = tmp_path / "usbmuxd"
    command = [*COMMAND, "-S", str(path), "-C", str(tmp_path / "records"), "--simulate", str(write_phones(tmp_path))]
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (100, 100))
        client = Client(str(path), timeout_s=20)
        with client.connect(client.devices()[0], 7) as stream:
            idle: list[socket.socket] = []
            refused = 0
            for _ in range(150):
                sock = socket.socket(socket.AF_UNIX)
                sock.settimeout(PATIENCE_S)
                sock.connect(str(path))
                idle.append(sock)
            with pytest.raises((DaemonUnavailableError, OSError)):
                client.devices()
            stream.sendall(b"still here")
            assert stream.recv(10) == b"still here"
            for sock in idle:
                sock.setblocking(False)
                with suppress(BlockingIOError):
                    refused += sock.recv(1) == b""
                sock.close()
            assert 40 <= refused < 150
        wait_until(lambda: answers(client))
        assert process.stop() == 0
    assert process.output.count("no descriptor is left") == 1


def answers(client: Client) -> bool:
    try:
        return len(client.devices()) == 2
    except (DaemonUnavailableError, OSError):
        return False
