"""Client, relay and simulated phones where Unix's ways are missing, as far as that can be played here.

What real systems do is shown by the workflow that runs a part of these tests on them.
"""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.daemon import clean_environment
from tests.support.other_platform import UNLOADABLE
from tests.support.process import ChildProcess
from tests.support.streams import MEBIBYTE, echoed, receive_exactly, some_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="plays other systems on Linux")

WITHIN_S = 60.0
DATA = some_bytes(2 * MEBIBYTE)


@dataclass(frozen=True)
class Played:
    """Our programs on another system, and a daemon with a virtual iPhone there."""

    platform: str
    address: str = ""
    udid: str = ""

    def command(self, program: str, *arguments: str) -> list[str]:
        return [sys.executable, "-W", "error", "-m", "tests.support.other_platform", self.platform, program, *arguments]

    def environment(self) -> dict[str, str]:
        return clean_environment(**({"USBMUXD_SOCKET_ADDRESS": self.address} if self.address else {}))

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """To its end; no program ends with a traceback."""
        done = subprocess.run(
            self.command(program, *arguments),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def start(self, program: str, *arguments: str) -> ChildProcess:
        return ChildProcess(self.command(program, *arguments), environment=self.environment())


@pytest.fixture(scope="module", params=["win32", "darwin"])
def nobody(request: pytest.FixtureRequest) -> Played:
    """A system without a daemon."""
    return Played(request.param)


@pytest.fixture(scope="module")
def played(nobody: Played) -> Iterator[Played]:
    with nobody.start("usbmux", "simulate", "--json") as daemon:
        said = json.loads(daemon.wait_for_line("^{.*}")[0])
        yield Played(nobody.platform, said["addresses"][0], said["phones"][0]["udid"])


@pytest.mark.slow
def test_every_module_is_imported(nobody: Played) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.support.other_platform", nobody.platform],
        capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("module", sorted(UNLOADABLE))
def test_modules_left_out_are_for_posix(module: str) -> None:
    code = f"from tests.support.other_platform import become; become('win32'); import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.slow
def test_daemon_listens_where_the_system_can(played: Played) -> None:
    assert played.address.startswith("127.0.0.1:" if played.platform == "win32" else "unix:/")


@pytest.mark.slow
def test_list_info_and_pair_work(played: Played) -> None:
    assert played.run("usbmux", "list").stdout == f"{played.udid}\n"
    assert played.run("usbmux", "pair").stdout == f"paired with {played.udid}\n"
    assert "DeviceName: Virtual iPhone\n" in played.run("usbmux", "info").stdout
    assert " Virtual iPhone " in played.run("usbmux", "list", "-l").stdout


@pytest.mark.slow
def test_doctor_judges_what_it_can(played: Played) -> None:
    said = played.run("usbmux", "doctor").stdout
    assert f"answers at {played.address}" in said
    assert "looked at on Linux only" in said


@pytest.mark.slow
def test_watch_tells_of_the_phone(played: Played) -> None:
    with played.start("usbmux", "watch") as watch:
        watch.wait_for_line(played.udid)


@pytest.mark.slow
@pytest.mark.parametrize("relay", [("usbmux", "forward", "0:7", "0:99"), ("tcprelay", "7:0", "99:0")])
def test_relay_bytes_go_through_and_back_and_half_close_is_kept(nobody: Played, relay: tuple[str, ...]) -> None:
    with nobody.start("usbmuxd", "-f", "-S", "127.0.0.1:0", "--config", "NONE", "--simulate") as daemon:
        address = daemon.wait_for_line(r"^usbmuxd ready: (127\.0\.0\.1:\d+)")[1]
        with Played(nobody.platform, address).start(*relay) as process:
            echo, digest = (int(process.wait_for_line(r"^listening address=\S+ port=(\d+) ")[1]) for _ in range(2))
            assert echoed(socket.create_connection(("127.0.0.1", echo), WITHIN_S), DATA) == DATA
            with socket.create_connection(("127.0.0.1", digest), WITHIN_S) as connection:
                connection.sendall(len(DATA).to_bytes(8) + DATA)
                connection.shutdown(socket.SHUT_WR)
                assert receive_exactly(connection, 33) == hashlib.sha256(DATA).digest()
            process.stop()
            assert "Traceback" not in process.output
        daemon.stop()
        assert "Traceback" not in daemon.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("usbmux", "connect", "7"), 1, "poll()"),
        (("usbmux", "simulate", "--usbredir", "machine"), 1, "Unix sockets"),
        (("usbmux", "list", "--socket", "unix:/phones"), 4, "no Unix sockets on this system"),
        (("usbmux", "install-service"), 1, "win32"),
        (("usbmuxd", "-x"), 4, "no other usbmuxd"),
    ],
)
def test_windows_cannot_do_it_and_the_program_says_so(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = Played("win32", "127.0.0.1:1").run(*arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
