from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.docs.page import ROOT, blocks, pages

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Counts the command lines of the documentation, those that no test runs by their reason."""
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in pages()]
    commands = [command for text in texts for block in blocks(text) for command in block.commands]
    reasons = Counter(command.reason_not_run for command in commands)
    terminalreporter.section("command lines of the documentation")
    terminalreporter.write_line(f"{reasons.pop(None, 0):4}  run")
    for reason, count in sorted((str(reason), count) for reason, count in reasons.items()):
        terminalreporter.write_line(f"{count:4}  not run: {reason}")
