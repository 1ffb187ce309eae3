"""Runs our daemon with a program of bench/inside around it, which looks from the beginning of a load to its end."""

import itertools
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.build import BenchError, Tools
from bench.load import Measured
from bench.profiled import Profiled
from bench.row import RequestRow
from bench.stand import Stand
from bench.subject import INSTALLED, OURS, RunningDaemon

_INSIDE: Final = Path(__file__).with_name("inside")
_PATIENCE_S: Final = 20.0
_PACKAGES: Final = ("usb", "mux", "daemon", "control", "capture", "admin", "commands")

_LIBRARIES: Final = {
    "asyncio": "asyncio and selectors",
    "selectors.py": "asyncio and selectors",
    "logging": "logging",
    "plistlib.py": "plistlib",
    "socket.py": "socket",
}


@dataclass(frozen=True, slots=True)
class Looked:
    """A load that was looked at from inside."""

    output: Path
    """What the program has written."""
    found: Measured
    before: Mapping[str, int]
    """The phone's counters."""
    after: Mapping[str, int]


def look_inside(tools: Tools, profiled: Profiled, program: str, seconds: float, folder: Path) -> Looked:
    """Put the load of a row on ours, without a warm-up, while the program looks.

    Raises:
        BenchError: It has written nothing.
    """
    output = folder / f"{profiled.name}.{program}"
    row = profiled.row
    if isinstance(row, RequestRow):
        row = replace(row, arguments=(*row.arguments, "warm=0"))
    with Stand(tools, seconds, (sys.executable, str(_INSIDE / program), str(output), *INSTALLED)) as stand:
        daemon = stand.daemon(OURS, row.link)
        before = daemon.tell_phone("report")
        with _looking(daemon, output):
            found = row.measure(stand, OURS)
        return Looked(output, found, before, daemon.tell_phone("report"))


def group_of(path: str) -> str:
    """Whose a function is, by the file that it stands in; that of functions in C is ``~``."""
    parts = Path(path).parts
    for package in _PACKAGES:
        if ("usbmux", package) in itertools.pairwise(parts):
            return f"usbmux.{package}"
    if (library := next((part for part in parts if part in _LIBRARIES), None)) is not None:
        return _LIBRARIES[library]
    return "functions in C" if path == "~" else "other Python"


@contextmanager
def _looking(daemon: RunningDaemon, output: Path) -> Iterator[None]:
    output.unlink(missing_ok=True)
    os.kill(daemon.pid, signal.SIGALRM)
    yield
    os.kill(daemon.pid, signal.SIGALRM)
    until_s = time.monotonic() + _PATIENCE_S
    while not (output.exists() and output.stat().st_size):
        if time.monotonic() > until_s:
            raise BenchError(f"nothing was written to {output}")
        time.sleep(0.05)
    time.sleep(0.05)  # all of it
