"""Daemons that are after the same phones."""

from collections.abc import Iterator
from typing import Final

from usbmux.commands.doctor.examination import Examination
from usbmux.commands.doctor.finding import Finding, Severity

_CHECK: Final = "daemons"


def check_daemons(examination: Examination) -> Iterator[Finding]:
    """At most one may use the bus: a phone's interface is given to whoever comes first."""
    if not examination.is_linux:
        return
    running = [process for process in examination.daemons if process.uses_usb]
    if len(running) <= 1:
        who = f"{running[0]} is the only daemon" if running else "no daemon"
        yield Finding(_CHECK, Severity.OK, f"{who} that uses the USB bus of this computer")
        return
    listening = examination.server.process
    others = [process for process in running if listening is None or process.pid != listening.pid]
    pids = " ".join(str(process.pid) for process in others[0 if listening in running else 1 :])
    text = f"{len(running)} daemons take phones from each other: {', '.join(map(str, running))}"
    fix = f"sudo systemctl disable --now the one you do not want, or: sudo kill {pids}"
    yield Finding(_CHECK, Severity.WARNING, text, fix)
