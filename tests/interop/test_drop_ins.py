"""The same conversations through Debian's iproxy and inetcat and through ours."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.interop.programs import debian_program
from tests.support.process import ChildProcess
from tests.support.streams import MEBIBYTE, connected, digest, echoed_in_turns, free_port, receive_exactly, some_bytes
from usbmux.testing.ports import pattern

if TYPE_CHECKING:
    from tests.interop.conftest import StartsDaemon
    from tests.support.daemon import Daemon

pytestmark = pytest.mark.interop

WHOSE = pytest.mark.parametrize("whose", ["debian", "ours"])
SPELLING = "UNIX:{path}"


def command(name: str, whose: str) -> list[str]:
    return [debian_program(name)] if whose == "debian" else [sys.executable, "-m", f"usbmux.commands.{name}"]


def iproxy(daemon: Daemon, whose: str, *arguments: str) -> ChildProcess:
    process = ChildProcess(
        [*command("iproxy", whose), *arguments], environment=daemon.environment(SPELLING), on_terminal=True
    )
    process.wait_for_line("^Creating listening port [0-9]+ for device port [0-9]+")
    process.wait_for_line("^waiting for connection")
    return process


@WHOSE
def test_iproxy_two_pairs_and_a_named_phone_carry_bytes_both_ways(daemon_with: StartsDaemon, whose: str) -> None:
    daemon = daemon_with({7: "echo", 19: "source"})
    echo, source, length = free_port(), free_port(), 4 * MEBIBYTE
    with iproxy(daemon, whose, f"{echo}:7", f"{source}:19", "-u", daemon.udid):
        sent = some_bytes(MEBIBYTE)
        # the second begins when the first carries and before it ends: one that begins amid another's beginning or end
        # is a question of its own, which the next test puts to ours
        with connected(echo) as first:
            first.sendall(b"hello")
            assert receive_exactly(first, 5) == b"hello"
            with connected(source) as second:
                second.sendall(length.to_bytes(8))
                assert digest(receive_exactly(second, length)) == digest(pattern(length))
            assert digest(echoed_in_turns(first, sent)) == digest(sent)


def test_iproxy_connections_begin_as_others_end_all_carry(daemon_with: StartsDaemon) -> None:
    daemon = daemon_with({7: "echo", 19: "source"})
    echo, source, length = free_port(), free_port(), MEBIBYTE
    with iproxy(daemon, "ours", f"{echo}:7", f"{source}:19"):
        for turn in range(20):
            assert echoed_in_turns(connected(echo), bytes([turn])) == bytes([turn])
            with connected(source) as first, connected(source) as second:
                for connection in (first, second):
                    connection.sendall(length.to_bytes(8))
                    assert digest(receive_exactly(connection, length)) == digest(pattern(length))


@WHOSE
def test_iproxy_old_form_leads_there_too(daemon_with: StartsDaemon, whose: str) -> None:
    daemon = daemon_with({7: "echo"})
    port = free_port()
    with iproxy(daemon, whose, str(port), "7"):
        assert echoed_in_turns(connected(port), b"hello") == b"hello"


@WHOSE
@pytest.mark.parametrize(
    "arguments", [[], ["-u", "nobody"], ["-n"]], ids=["no such port", "no such phone", "no network"]
)
def test_iproxy_it_cannot_connect_program_sees_the_end_and_the_next_is_served(
    daemon_with: StartsDaemon, whose: str, arguments: list[str]
) -> None:
    daemon = daemon_with({7: "echo"})
    closed = free_port()
    with iproxy(daemon, whose, *arguments, f"{closed}:1234"):
        for _ in range(2):
            with connected(closed) as connection:
                try:
                    assert connection.recv(1) == b""
                except ConnectionResetError:
                    assert whose == "debian"


@WHOSE
def test_inetcat_bytes_go_both_ways_and_the_phones_end_is_its_end(daemon_with: StartsDaemon, whose: str) -> None:
    daemon = daemon_with({19: "source"})
    length = MEBIBYTE
    with subprocess.Popen(
        [*command("inetcat", whose), "-u", daemon.udid, "19"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=daemon.environment(SPELLING), bufsize=0,
    ) as program:  # fmt: skip
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(length.to_bytes(8))
        received = bytearray()
        while len(received) < length and (data := program.stdout.read(65536)):
            received += data
        program.stdin.close()
        assert program.wait(45) == 0
    assert digest(received) == digest(pattern(length))


@WHOSE
@pytest.mark.parametrize("arguments", [["1234"], ["-u", "nobody", "7"], ["-n", "7"], ["0"], []])
def test_inetcat_it_cannot_connect_it_says_so_and_fails(
    daemon_with: StartsDaemon, whose: str, arguments: list[str]
) -> None:
    daemon = daemon_with({7: "echo"})
    done = subprocess.run(
        [*command("inetcat", whose), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
        env=daemon.environment(SPELLING), timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stdout == b""
    assert done.stderr != b""
