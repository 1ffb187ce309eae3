"""The conformance suite on our daemon and on Debian's, which is on a fake usbfs and in a namespace of its own.

Ours must conform. Debian's is asked whether our idea of the field is right: only cases that are marked as ours may
deviate there. What came is printed when the tests have ended, for whoever runs them.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.attached import wait_attached
from tests.support.daemon import start_daemon
from tests.support.debian_usbmuxd import require_debian_usbmuxd, start_debian_usbmuxd
from tests.usb.usbfs.device import device_of_function
from tests.usb.usbfs.host import UsbfsHost, build_preload, environment
from usbmux.control.address import UnixAddress
from usbmux.errors import UsbmuxError
from usbmux.testing import PhoneOptions, SimulatedPhone, echo
from usbmux.testing.conformance import CaseResult, Subject, Verdict, run

if TYPE_CHECKING:
    from tests.kernel.figures import Figures

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

OURS, DEBIANS = "ours", "Debian's"
ECHO = 7
READY_WITHIN_S = 30.0
SILENCE_S = 2.0
"""It is waited for in each case that gets no answer."""
PATIENCE_S = 30.0
"""For answers on which the test depends, on a machine that does other things too."""


async def wait_for_phone(path: Path) -> Subject:
    """The server with its phone; not every one tells when it listens."""
    async with asyncio.timeout(READY_WITHIN_S):
        while True:
            try:
                subject = await asyncio.to_thread(
                    Subject.find, UnixAddress(str(path)), echo_port=ECHO, timeout_s=SILENCE_S
                )
            except UsbmuxError:
                subject = None
            if subject is not None and subject.phone is not None:
                return subject
            await asyncio.sleep(0.05)


def record(deviations: Figures, daemon: str, results: list[CaseResult]) -> list[CaseResult]:
    """Those that do not conform."""
    deviating = [found for found in results if found.verdict is not Verdict.CONFORMS]
    for found in deviating:
        deviations.record(found.case.name, daemon, found.came)
    deviations.lines.append(f"{daemon}: {len(results) - len(deviating)} of {len(results)} conform")
    return deviating


def test_ours_conforms(tmp_path: Path, deviations: Figures) -> None:
    daemon = start_daemon(tmp_path, {ECHO: "echo"})
    with daemon.process:
        address = UnixAddress(str(daemon.socket_path))
        wait_attached(address, 1)
        subject = Subject.find(address, echo_port=ECHO, timeout_s=PATIENCE_S)
        assert record(deviations, OURS, list(run(subject))) == []


@pytest.mark.asyncio
async def test_debians_deviates_only_where_the_field_is_silent(deviations: Figures) -> None:
    require_debian_usbmuxd()
    folder = Path(tempfile.mkdtemp(prefix="usbfs"))  # not below tmp_path: a socket's path is short
    library = build_preload(folder)
    if library is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler for the fake usbfs")
    host = UsbfsHost()
    await host.start(folder / "usbfs")
    host.plug(device_of_function(SimulatedPhone(ports={ECHO: echo}, options=PhoneOptions(initial_sequence=0))))
    (folder / "own").mkdir()
    process, path = start_debian_usbmuxd(folder / "own", environment(library, folder / "usbfs"))
    try:
        subject = await wait_for_phone(path)
        results = await asyncio.to_thread(lambda: list(run(subject)))
        doubtful = [found.case for found in record(deviations, DEBIANS, results) if not found.case.is_ours]
        patient = replace(subject, timeout_s=PATIENCE_S)
        asked_again = await asyncio.to_thread(lambda: list(run(patient, doubtful)))
    finally:
        # In a thread: to end well, the daemon needs the bus, which is served by this loop.
        await asyncio.to_thread(process.stop)
        await host.close()
        shutil.rmtree(folder)
    assert [found for found in asked_again if found.verdict is not Verdict.CONFORMS] == []
