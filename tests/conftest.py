from __future__ import annotations

import os
import signal
from collections import Counter

import pytest
from hypothesis import settings

from tests.support.other_platform import become
from tests.support.poorer_system import become_poorer

become_poorer()
if platform := os.environ.get("USBMUX_TEST_PLATFORM"):
    become(platform)

# Their assertions tell as much as those in modules of tests; must come before they are imported.
pytest.register_assert_rewrite(
    *(
        f"tests.contract.{name}"
        for name in ("bus_subjects", "bus_suite", "candidate_suite", "pipe_suite", "pipe_end_suite")
    )
)

# Whoever starts the tests in the background may have told them to ignore Ctrl-C, and then the programs that they start
# would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Counts the skipped tests by reason, so that none is skipped silently."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.getreports("skipped"):
        if isinstance(report.longrepr, tuple):
            reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1
    if reasons:
        terminalreporter.section("skipped tests by reason")
        for reason, count in sorted(reasons.items()):
            terminalreporter.write_line(f"{count:4}  {reason}")
