from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.interop.programs import debian_program, version
from tests.support.process import ChildProcess
from tests.support.streams import MEBIBYTE, connected, digest, echoed_in_turns, free_port, receive_exactly, some_bytes
from usbmux.testing.ports import pattern

if TYPE_CHECKING:
    from tests.interop.compatibility import CompatibilityTable
    from tests.interop.conftest import StartsDaemon

pytestmark = pytest.mark.interop

# The spelling of a path that libusbmuxd 2.0.2 understands. Data goes one way at a time, through one connection of each
# iproxy or inetcat.
SPELLING = "UNIX:{path}"


def test_idevice_id_list_names_the_phone(daemon_with: StartsDaemon, compatibility: CompatibilityTable) -> None:
    program = debian_program("idevice_id")
    daemon = daemon_with({7: "echo"})
    listed = subprocess.check_output([program, "-l"], env=daemon.environment(SPELLING), text=True, timeout=30)
    assert listed.split() == [daemon.udid]
    compatibility.add("libimobiledevice-utils", version(program, "--version"), "idevice_id -l", "names the phone")


def test_idevicepair_systembuid_is_the_same_twice(daemon_with: StartsDaemon, compatibility: CompatibilityTable) -> None:
    program = debian_program("idevicepair")
    environment = daemon_with({}).environment(SPELLING)
    first, second = (
        subprocess.check_output([program, "systembuid"], env=environment, text=True, timeout=30) for _ in range(2)
    )
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\n", first, re.IGNORECASE)
    assert first == second
    compatibility.add(
        "libimobiledevice-utils", version(program, "--version"), "idevicepair systembuid", "prints the host's BUID"
    )


@pytest.mark.parametrize("mux_version", [1, 2])
def test_iproxy_data_both_ways_arrives_unchanged(
    daemon_with: StartsDaemon, compatibility: CompatibilityTable, mux_version: int
) -> None:
    program = debian_program("iproxy")
    daemon = daemon_with({7: "echo"}, version=mux_version)
    port, sent = free_port(), some_bytes(2 * MEBIBYTE)
    with ChildProcess([program, f"{port}:7"], environment=daemon.environment(SPELLING), on_terminal=True) as iproxy:
        iproxy.wait_for_line("waiting for connection")
        received = echoed_in_turns(connected(port), sent)
    assert digest(received) == digest(sent)
    compatibility.add(
        "libusbmuxd-tools", version(program, "--version"), "iproxy LOCAL:7", "2 MiB each way in turns, equal digests"
    )


def test_iproxy_bulk_from_the_phone_arrives_unchanged(
    daemon_with: StartsDaemon, compatibility: CompatibilityTable
) -> None:
    program = debian_program("iproxy")
    daemon = daemon_with({19: "source"})
    port, length = free_port(), 32 * MEBIBYTE
    with ChildProcess([program, f"{port}:19"], environment=daemon.environment(SPELLING), on_terminal=True) as iproxy:
        iproxy.wait_for_line("waiting for connection")
        with connected(port) as connection:
            connection.sendall(length.to_bytes(8))
            received = receive_exactly(connection, length)
    assert digest(received) == digest(pattern(length))
    compatibility.add(
        "libusbmuxd-tools", version(program, "--version"), "iproxy LOCAL:19", "32 MiB from the phone, equal digests"
    )


def test_inetcat_data_both_ways_arrives_unchanged(daemon_with: StartsDaemon, compatibility: CompatibilityTable) -> None:
    program = debian_program("inetcat")
    daemon = daemon_with({7: "echo"})
    sent, turn_length = some_bytes(MEBIBYTE), 32768
    received = bytearray()
    with subprocess.Popen(
        [program, "7"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=daemon.environment(SPELLING), bufsize=0
    ) as inetcat:
        assert inetcat.stdin
        assert inetcat.stdout
        try:
            for start in range(0, len(sent), turn_length):
                inetcat.stdin.write(sent[start : start + turn_length])
                while len(received) < start + turn_length and (data := inetcat.stdout.read(turn_length)):
                    received += data
            inetcat.stdin.close()
            assert inetcat.wait(10) == 0
        finally:
            inetcat.kill()
    assert digest(received) == digest(sent)
    compatibility.add(
        "libusbmuxd-tools", version(program, "--version"), "inetcat 7", "1 MiB each way in turns, equal digests"
    )
