from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.bench import IS_FULL
from tests.kernel.figures import Figures
from tests.kernel.machine import make_initramfs, require_machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIGURES = pytest.StashKey[Figures]()


@pytest.fixture(scope="session")
def initramfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    require_machine()
    path = make_initramfs(tmp_path_factory.mktemp("initramfs"))
    yield path
    path.unlink()


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Figures:
    return request.config.stash.setdefault(FIGURES, Figures())


# Two of them are tried with phones as well, which in continuous integration is enough.
@pytest.fixture(scope="module", params=[1, 2] if IS_FULL else [1])
def processors(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = terminalreporter.config.stash.get(FIGURES, None)
    if figures is not None:
        terminalreporter.section("on a real kernel")
        for line in [*figures.lines, *figures.table()]:
            terminalreporter.write_line(line)
