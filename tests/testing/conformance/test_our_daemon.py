from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.attached import wait_attached
from tests.support.daemon import clean_environment, our_command, start_daemon
from usbmux.control.address import UnixAddress
from usbmux.testing import RunningDaemon, SimulatedPhone, echo
from usbmux.testing.conformance import CASES, Case, Subject, Verdict, run_case

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

ECHO = 7
UDIDS = ("00008030-001A2B3C4D5E6F01", "00008110-000A1D2E3F4B5C6D")
PATIENCE_S = 30.0
"""For a machine that does other things too; whoever conforms never needs it."""


@pytest.fixture(scope="module", params=[1, 2], ids=["mux_1", "mux_2"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Our daemon with two phones, one of which has an echo."""
    phones = [SimulatedPhone(udid, ports={ECHO: echo}, version=request.param) for udid in UDIDS]
    with RunningDaemon(phones) as daemon:
        wait_attached(daemon.address, len(phones))
        yield Subject.find(daemon.address, udid=UDIDS[0], echo_port=ECHO, timeout_s=PATIENCE_S)
        assert daemon.violations == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_our_daemon_each_case_conforms(subject: Subject, case: Case) -> None:
    found = run_case(subject, case)
    assert found.verdict is Verdict.CONFORMS, f"{found.came}; expected {case.expected}"


def test_our_process_command_finds_that_it_conforms(tmp_path: Path) -> None:
    daemon = start_daemon(tmp_path, {ECHO: "echo"})
    with daemon.process:
        wait_attached(UnixAddress(str(daemon.socket_path)), 1)
        command = [our_command("usbmux"), "conform", f"unix:{daemon.socket_path}", "--port", str(ECHO), "--json"]
        ended = subprocess.run(
            [*command, "--timeout", str(PATIENCE_S)],
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
        assert list((tmp_path / "records").glob("*.plist")) == [tmp_path / "records/SystemConfiguration.plist"]
    found = {line["case"]: line["verdict"] for line in map(json.loads, ended.stdout.splitlines())}
    assert found == {case.name: "conforms" for case in CASES}
    assert (ended.returncode, ended.stderr) == (0, "")
