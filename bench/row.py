"""Kinds of rows: each measures one thing on one daemon."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bench.figure import Figure
from bench.link import UNLIMITED, Link
from bench.load import HeldClients, Measured, run_load
from bench.stand import Stand
from bench.subject import OURS, RunningDaemon

_GIB: Final = 1 << 30
_MEGABYTE: Final = 1_000_000
_MANY_SECONDS: Final = 1.0


class Row(Protocol):
    """A line of the table, or several that are measured at once."""

    @property
    def name(self) -> str:
        """Its name on the command line."""

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What it measures."""

    def measure(self, stand: Stand, subject: str) -> Measured:
        """Measure once.

        Returns:
            A value for each figure, by its name; other names are details for the report.
        """


@dataclass(frozen=True, slots=True)
class StreamRow:
    """Bytes without end: `receive`, `send`, `duplex`."""

    name: str
    mode: str
    link: Link
    figures: tuple[Figure, ...]
    segment: int
    """Payload of the phone's packets."""
    connections: int = 1
    pace: int = 0

    def measure(self, stand: Stand, subject: str) -> Measured:
        """MB/s, CPU seconds per GiB, fairness."""
        daemon = stand.daemon(subject, self.link)
        daemon.tell_phone(f"segment {self.segment}")
        load = [f"connections={self.connections}", f"seconds={stand.seconds}", f"pace={self.pace}"]
        if self.connections > 1:  # every buffer is full, and everybody has had many turns
            load += [f"seconds={max(stand.seconds, _MANY_SECONDS)}", f"warm={_MANY_SECONDS}"]
        found = run_load(stand.tools, daemon, self.mode, *load)
        moved = found["received"] + found["sunk"]
        found["rate"] = moved / found["elapsed_s"] / _MEGABYTE
        found["cpu"] = found["cpu_s"] * _GIB / max(moved, 1)
        found["fake_cpu"] = found["fake_s"] * _GIB / max(moved, 1)
        return found


@dataclass(frozen=True, slots=True)
class RequestRow:
    """Something done over and over: `echo`, `connects`, `lists`."""

    name: str
    arguments: tuple[str, ...]
    figures: tuple[Figure, ...]
    link: Link = UNLIMITED

    def measure(self, stand: Stand, subject: str) -> Measured:
        """Times per second, microseconds of the middle and of the slow ones, CPU microseconds of each."""
        daemon = stand.daemon(subject, self.link)
        found = run_load(stand.tools, daemon, *self.arguments, f"seconds={stand.seconds}")
        found["rate"] = found["count"] / found["elapsed_s"]
        found["p50"] = found["p50_s"] * 1e6
        found["p99"] = found["p99_s"] * 1e6
        found["cpu"] = found["cpu_s"] / found["count"] * 1e6
        return found


@dataclass(frozen=True, slots=True)
class HeldRow:
    """Clients that do nothing: the daemon's memory, and the CPU that it takes all the same.

    `memory` is all of it, `more` what the clients have added.
    """

    name: str
    arguments: tuple[str, ...]
    figures: tuple[Figure, ...]
    link: Link = UNLIMITED
    pause_s: float = 0.5
    settle_s: float = 0.3
    """After which all is over that the clients have caused."""

    def measure(self, stand: Stand, subject: str) -> Measured:
        """MB, and CPU microseconds and wake-ups per second."""
        with stand.start(subject, self.link) as daemon:
            run_load(stand.tools, daemon, "connects", "seconds=0.1", "warm=0")
            before = daemon.resident_bytes()
            with HeldClients(stand.tools, daemon, *self.arguments):
                time.sleep(self.settle_s)
                wakes, cpu_s, began = _wakes(daemon), _cpu_s(daemon), time.monotonic()
                time.sleep(self.pause_s)
                elapsed = time.monotonic() - began
                after = daemon.resident_bytes()
                return {
                    "memory": after / _MEGABYTE,
                    "more": (after - before) / _MEGABYTE,
                    "cpu": (_cpu_s(daemon) - cpu_s) / elapsed * 1e6,
                    "wakes": (_wakes(daemon) - wakes) / elapsed,
                }


@dataclass(frozen=True, slots=True)
class StartRow:
    """From the start of the program until it accepts a client."""

    name: str
    figures: tuple[Figure, ...]

    def measure(self, stand: Stand, subject: str) -> Measured:
        """Milliseconds."""
        with stand.start(subject, UNLIMITED) as daemon:
            return {"ready": daemon.ready_s * 1e3}


@dataclass(frozen=True, slots=True)
class PlugRow:
    """From the plug of a phone until a client is told of it."""

    name: str
    figures: tuple[Figure, ...]

    def measure(self, stand: Stand, subject: str) -> Measured:
        """Milliseconds."""
        with stand.start(subject, UNLIMITED, {"FAKEUSB_PLUGGED": "0"}) as daemon:
            found = run_load(stand.tools, daemon, "plugs", "count=10")
            return {"attached": found["p50_s"] * 1e3, "slowest": found["max_s"] * 1e3}


@dataclass(frozen=True, slots=True)
class CommandRow:
    """How long `usbmux list` takes from start to end; only ours has it."""

    name: str
    figures: tuple[Figure, ...]

    def measure(self, stand: Stand, subject: str) -> Measured:
        """Milliseconds."""
        if subject != OURS:
            return {}
        daemon = stand.daemon(subject, UNLIMITED)
        command = [str(Path(sys.executable).with_name("usbmux")), "list"]
        began = time.monotonic()
        subprocess.run(
            command, check=True, capture_output=True, env={"USBMUXD_SOCKET_ADDRESS": f"unix:{daemon.socket}"}
        )
        return {"list": (time.monotonic() - began) * 1e3}


def _cpu_s(daemon: RunningDaemon) -> float:
    # The CPU clock of another process, as clock_getcpuclockid(3) makes its number.
    return time.clock_gettime((~daemon.pid << 3) | 2)


def _wakes(daemon: RunningDaemon) -> int:
    total = 0
    for status in Path(f"/proc/{daemon.pid}/task").glob("*/status"):
        lines = [line for line in status.read_text().splitlines() if line.startswith("voluntary_ctxt_switches")]
        total += int(lines[0].split()[1])
    return total
