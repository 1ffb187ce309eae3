"""``usbmux doctor``: all findings, for people or for programs."""

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from usbmux.commands.doctor.bus_check import check_bus
from usbmux.commands.doctor.daemons_check import check_daemons
from usbmux.commands.doctor.environment_check import check_environment
from usbmux.commands.doctor.examination import Check, examine
from usbmux.commands.doctor.finding import Finding, Severity
from usbmux.commands.doctor.phones_check import check_phones
from usbmux.commands.doctor.socket_check import check_socket
from usbmux.commands.doctor.surroundings_check import check_surroundings
from usbmux.commands.doctor.system_view import SystemView
from usbmux.commands.doctor.udev_check import check_udev
from usbmux.commands.exits import ExitCode, complain

CHECKS: Final[tuple[Check, ...]] = (
    check_environment,
    check_socket,
    check_daemons,
    check_surroundings,
    check_udev,
    check_bus,
    check_phones,
)
_SEVERITY_WIDTH: Final = max(len(severity.value) for severity in Severity)
_CHECK_WIDTH: Final = len("environment")
_COLOURS: Final = {Severity.OK: 32, Severity.NOTE: 36, Severity.WARNING: 33, Severity.PROBLEM: 31}
"""Numbers of ANSI escapes: green, cyan, yellow, red."""


def run_doctor(root: Path, address: str | None, *, as_json: bool) -> int:
    """Look at everything and print what was found.

    Args:
        root: Of the files that are looked at; sockets are not below it.
        address: The daemon's, or None for the default.
        as_json: One JSON document.

    Returns:
        Failure if there is a warning or a problem.
    """
    examination = examine(SystemView.here(root), address)
    findings = [finding for check in CHECKS for finding in check(examination)]
    is_well = all(finding.severity.is_well for finding in findings)
    if as_json:
        print(json.dumps({"is_well": is_well, "findings": list(map(_document, findings))}, indent=4), flush=True)
    else:
        print(in_words(findings, in_colour=_wants_colour()), flush=True)
        complain("usbmux", _summary(findings))
    return ExitCode.OK if is_well else ExitCode.FAILURE


def in_words(findings: Sequence[Finding], *, in_colour: bool) -> str:
    """A line for each finding, and below it one for what to do."""
    lines = []
    for finding in findings:
        severity = f"{finding.severity.value:{_SEVERITY_WIDTH}}"
        if in_colour:
            severity = f"\x1b[{_COLOURS[finding.severity]}m{severity}\x1b[0m"
        lines.append(f"{severity}  {finding.check:{_CHECK_WIDTH}}  {finding.text}")
        if finding.fix:
            lines.append(f"{'':{_SEVERITY_WIDTH}}  {'':{_CHECK_WIDTH}}  to do: {finding.fix}")
    return "\n".join(lines)


def _document(finding: Finding) -> dict[str, str]:
    severity = finding.severity.value
    return {"check": finding.check, "severity": severity, "text": finding.text, "fix": finding.fix}


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    bad = [
        f"{counts[severity]} {severity.value}{'s' if counts[severity] > 1 else ''}"
        for severity in (Severity.PROBLEM, Severity.WARNING)
        if counts[severity]
    ]
    return ", ".join(bad) or "all is well"


def _wants_colour() -> bool:
    return sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
