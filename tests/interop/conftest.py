from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.interop.compatibility import CompatibilityTable
from tests.interop.iphone_bench import IPhoneBench, iphone_bench
from tests.interop.sshd import SshServer, start_sshd
from tests.kernel.figures import Figures
from tests.support.daemon import Daemon, our_command, start_daemon
from tests.support.process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LISTENING = r"^listening address=\S+ port=(\d+)"
SAME_STIMULI = pytest.StashKey[Figures]()
DEVIATIONS = pytest.StashKey[Figures]()
COMPATIBILITY = Path(__file__).parents[2] / "docs/compatibility.md"


class StartsDaemon(Protocol):
    def __call__(self, ports: Mapping[int, str], *, version: int = 2) -> Daemon: ...


class StartsForwarder(Protocol):
    def __call__(self, daemon: Daemon, *arguments: str) -> int: ...


@pytest.fixture(scope="session")
def compatibility() -> Iterator[CompatibilityTable]:
    table = CompatibilityTable()
    yield table
    if os.environ.get("USBMUX_WRITE_DOCS") == "1":
        table.write(COMPATIBILITY)


@pytest.fixture(scope="session")
def same_stimuli(request: pytest.FixtureRequest) -> Figures:
    return request.config.stash.setdefault(SAME_STIMULI, Figures())


@pytest.fixture(scope="session")
def deviations(request: pytest.FixtureRequest) -> Figures:
    return request.config.stash.setdefault(DEVIATIONS, Figures())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = terminalreporter.config.stash.get(SAME_STIMULI, None)
    if figures is not None:
        terminalreporter.section("the same stimuli")
        for line in figures.table():
            terminalreporter.write_line(line)
    deviations = terminalreporter.config.stash.get(DEVIATIONS, None)
    if deviations is not None:
        terminalreporter.section("conformance; cases that someone does not conform to, and what came")
        for line in [*deviations.lines, *deviations.table()]:
            terminalreporter.write_line(line)


@pytest.fixture
def daemon_with(tmp_path: Path) -> Iterator[StartsDaemon]:
    """Starts a daemon whose simulated phone has the given ports."""
    daemons: list[Daemon] = []

    def start(ports: Mapping[int, str], *, version: int = 2) -> Daemon:
        daemons.append(start_daemon(tmp_path, ports, version=version))
        return daemons[-1]

    yield start
    _end_cleanly([daemon.process for daemon in daemons])


@pytest.fixture
def stranger() -> Iterator[IPhoneBench]:
    """A virtual iPhone of the test's own, which has met nobody yet."""
    with iphone_bench() as bench:
        yield bench


@pytest.fixture(scope="module")
def iphone() -> Iterator[IPhoneBench]:
    """A virtual iPhone that the tests of a module share."""
    with iphone_bench() as bench:
        yield bench


@pytest.fixture
def forwarded_by() -> Iterator[StartsForwarder]:
    """Starts `tcprelay` or `usbmux forward` with local port 0 and returns the port that it listens on."""
    forwarders: list[ChildProcess] = []

    def start(daemon: Daemon, *arguments: str) -> int:
        command, *rest = arguments
        forwarders.append(ChildProcess([our_command(command), *rest], environment=daemon.environment()))
        return int(forwarders[-1].wait_for_line(LISTENING)[1])

    yield start
    _end_cleanly(forwarders)


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.process.stop()


def _end_cleanly(processes: list[ChildProcess]) -> None:
    """Ends our own programs; their output is shown where a test has failed."""
    statuses = [process.stop() for process in processes]
    output = "".join(process.output for process in processes)
    print(output)
    assert not any(statuses)
    assert "Traceback" not in output
