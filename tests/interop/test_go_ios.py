from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.interop.programs import go_ios, version
from tests.support.process import ChildProcess
from tests.support.streams import MEBIBYTE, connected, digest, echoed, free_port, some_bytes

if TYPE_CHECKING:
    from tests.interop.compatibility import CompatibilityTable
    from tests.interop.conftest import StartsDaemon

pytestmark = pytest.mark.interop

SPELLING = "unix://{path}"


def test_go_ios_list_names_the_phone(daemon_with: StartsDaemon, compatibility: CompatibilityTable) -> None:
    program = go_ios()
    daemon = daemon_with({7: "echo"})
    printed = subprocess.check_output([program, "list"], env=daemon.environment(SPELLING), text=True, timeout=30)
    assert json.loads(printed) == {"deviceList": [daemon.udid]}
    compatibility.add("go-ios", version(program, "--version"), "ios list", "names the phone")


def test_go_ios_listen_reports_the_phone(daemon_with: StartsDaemon, compatibility: CompatibilityTable) -> None:
    program = go_ios()
    daemon = daemon_with({7: "echo"})
    with ChildProcess([program, "listen"], environment=daemon.environment(SPELLING)) as listen:
        line = listen.wait_for_line('"MessageType":"Attached"')
    assert daemon.udid in line.string
    compatibility.add("go-ios", version(program, "--version"), "ios listen", "reports the phone")


def test_go_ios_forward_data_both_ways_arrives_unchanged(
    daemon_with: StartsDaemon, compatibility: CompatibilityTable
) -> None:
    program = go_ios()
    daemon = daemon_with({7: "echo"})
    port, sent = free_port(), some_bytes(8 * MEBIBYTE)
    with ChildProcess([program, "forward", str(port), "7"], environment=daemon.environment(SPELLING)):
        received = echoed(connected(port), sent)
    assert digest(received) == digest(sent)
    compatibility.add(
        "go-ios", version(program, "--version"), "ios forward LOCAL 7", "8 MiB each way at once, equal digests"
    )
