"""Measures the forwarders beside each other, in front of one daemon that costs next to nothing."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from bench.build import BenchError, Tools
from bench.figure import Figure
from bench.forwarder import Forwarder, RunningForwarder, present_forwarders
from bench.load import HeldClients, Measured, run_load
from bench.stub import serving_stub

_MEGABYTE: Final = 1_000_000
_HELD: Final = 100
_HALF_CLOSES: Final = 20
_PATIENCE_S: Final = 5.0
_ECHO: Final = b"\x07"
"""Which service of bench/loadgen/serve.c is meant."""
_QUESTION: Final = bytes(range(256)) * 200
_ATTEMPTS: Final = 3
"""For who loses a connection; ours must not."""

FORWARDER_FIGURES: Final = (
    Figure("receive", "MB/s", is_more_better=True, ratio_target=1.0, digits=0),
    Figure("send", "MB/s", is_more_better=True, ratio_target=1.0, digits=0),
    Figure("echo p50", "us", ratio_target=1.2, digits=0),
    Figure("connects", "/s", is_more_better=True, digits=0),
    Figure("half-closes kept", "%", is_more_better=True, digits=0),
    Figure("memory", "MB", digits=1),
    Figure("100 connections", "MB", digits=1),
)


def measure_forwarders(
    tools: Tools, rounds: int, seconds: float, say: Callable[[str], None]
) -> dict[str, list[Measured]]:
    """What each round has found for each forwarder that is installed; the first two are ours."""
    forwarders = present_forwarders()
    found: dict[str, list[Measured]] = {forwarder.name: [] for forwarder in forwarders}
    with serving_stub(tools) as path:
        for number in range(rounds):
            for forwarder in forwarders:
                say(f"round {number + 1} of {rounds}: {forwarder.name}")
                attempts = 1 if forwarder in forwarders[:2] else _ATTEMPTS
                found[forwarder.name].append(_measure_at_last(tools, forwarder, path, seconds, attempts))
    return found


def _measure_at_last(tools: Tools, forwarder: Forwarder, daemon: Path, seconds: float, attempts: int) -> Measured:
    """A loss of the one connection of an echo or stream ends the measurement."""
    for _ in range(attempts - 1):
        try:
            return _measure(tools, forwarder, daemon, seconds)
        except BenchError:
            continue
    return _measure(tools, forwarder, daemon, seconds)


def _measure(tools: Tools, forwarder: Forwarder, daemon: Path, seconds: float) -> Measured:
    found: Measured = {}
    with RunningForwarder(forwarder, daemon) as running:
        for mode, moved in (("receive", "received"), ("send", "sent")):
            stream = run_load(tools, running, mode, f"seconds={seconds}")
            found[mode] = stream[moved] / stream["elapsed_s"] / _MEGABYTE
            found[f"{mode} cpu_s"] = stream["cpu_s"]
        found["echo p50"] = run_load(tools, running, "echo", f"seconds={seconds}")["p50_s"] * 1e6
        connects = run_load(tools, running, "connects", f"seconds={seconds}")
        found["connects"] = connects["count"] / connects["sum_s"]
        found["half-closes kept"] = (
            100 * sum(_answers_half_close(running.local) for _ in range(_HALF_CLOSES)) / _HALF_CLOSES
        )
        before = running.resident_bytes()
        with HeldClients(tools, running, f"connections={_HELD}"):
            time.sleep(0.5)
            found["memory"] = before / _MEGABYTE
            found["100 connections"] = (running.resident_bytes() - before) / _MEGABYTE
    return found


def _answers_half_close(port: int) -> bool:
    """Whether all of the answer comes to who has ended his writing, as HTTP/1.0 and netcat do."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as sock, suppress(OSError):
        sock.sendall(_ECHO + _QUESTION)
        sock.shutdown(socket.SHUT_WR)
        while piece := sock.recv(65536):
            answer += piece
    return answer == _QUESTION
