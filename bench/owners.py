"""Whose Python code takes the CPU time, with all that it calls in C and in the kernel, sampled inside the daemon."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.build import Tools
from bench.environment import tool_program
from bench.looking import group_of, look_inside
from bench.profiled import Profiled

_RATE: Final = 500
_BEGINS_WITHIN_S: Final = 1.0


def owner_shares(tools: Tools, profiled: Profiled, seconds: float, folder: Path) -> dict[str, float]:
    """The share of each package."""
    looked = look_inside(tools, profiled, "sampled.py", seconds, folder)
    counts: Counter[str] = Counter()
    for line in looked.output.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        counts[group_of(stack.rpartition(";")[2].rpartition(":")[0])] += int(count)
    return {owner: count / counts.total() for owner, count in counts.most_common()}


@contextmanager
def flames(pid: int, output: Path) -> Iterator[None]:
    """Draw where a process is while the block is entered: a flame graph by py-spy, of the time with Python's lock.

    Raises:
        BenchError: py-spy cannot be installed.
    """
    command = [tool_program("py-spy"), "record", "--pid", str(pid), "--rate", str(_RATE), "--nonblocking", "--gil"]
    command += ["--function", "--output", str(output)]
    spy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(_BEGINS_WITHIN_S)
    try:
        yield
    finally:
        spy.send_signal(signal.SIGINT)
        spy.wait(timeout=30)
