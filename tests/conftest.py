from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import settings

# Their assertions tell as much as those in modules of tests; must come before they are imported.
pytest.register_assert_rewrite(
    *(
        f"tests.contract.{name}"
        for name in ("bus_subjects", "bus_suite", "candidate_suite", "pipe_suite", "pipe_end_suite")
    )
)

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
