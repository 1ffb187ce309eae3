from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.interop.programs import pymobiledevice3, version
from tests.support.process import ChildProcess
from tests.support.streams import MEBIBYTE, connected, digest, echoed, free_port, some_bytes

if TYPE_CHECKING:
    from tests.interop.compatibility import CompatibilityTable
    from tests.interop.conftest import StartsDaemon

pytestmark = pytest.mark.interop


def test_pymobiledevice3_list_names_the_phone(daemon_with: StartsDaemon, compatibility: CompatibilityTable) -> None:
    program = pymobiledevice3()
    daemon = daemon_with({7: "echo"})
    printed = subprocess.check_output(
        [program, "usbmux", "list", "--simple"], env=daemon.environment(), text=True, timeout=60
    )
    assert json.loads(printed) == [daemon.udid]
    compatibility.add(
        "pymobiledevice3", version(program, "version"), "pymobiledevice3 usbmux list --simple", "names the phone"
    )


def test_pymobiledevice3_forward_data_both_ways_arrives_unchanged(
    daemon_with: StartsDaemon, compatibility: CompatibilityTable
) -> None:
    program = pymobiledevice3()
    daemon = daemon_with({7: "echo"})
    port, sent = free_port(), some_bytes(8 * MEBIBYTE)
    command = [program, "usbmux", "forward", str(port), "7"]
    with ChildProcess(command, environment=daemon.environment()):
        received = echoed(connected(port), sent)
    assert digest(received) == digest(sent)
    compatibility.add(
        "pymobiledevice3",
        version(program, "version"),
        "pymobiledevice3 usbmux forward LOCAL 7",
        "8 MiB each way at once, equal digests",
    )
