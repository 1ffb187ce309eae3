"""Whose machine code runs: by perf, which looks many times a second where the daemon's processor is."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.build import BenchError

_RATE: Final = 4999
_BEGINS_WITHIN_S: Final = 0.5
_INTERPRETER: Final = "interpreter: objects, calls, memory"
_LAYERS: Final = (
    ("[kernel", "kernel"),
    ("[k]", "kernel"),
    ("libusb-1.0", "bus and phone, which are emulated"),
    ("_ctypes", "ctypes"),
    ("libffi", "ctypes"),
    ("[JIT]", "ctypes"),  # code that libffi has made
    ("libpython", _INTERPRETER),
    ("python", _INTERPRETER),
    ("libc.so", "C library"),
    ("libc-", "C library"),
    ("libpthread", "C library"),
    ("[vdso]", "C library"),
    ("[vsyscall", "C library"),
    ("ld-linux", "C library"),
    ("usbmuxd", "the daemon's own code in C"),
    ("libplist", "libraries of property lists"),
    ("pyexpat", "libraries of property lists"),
    ("libexpat", "libraries of property lists"),
)
_EVALUATION: Final = "_PyEval_EvalFrameDefault"


@contextmanager
def sampled(pid: int, output: Path) -> Iterator[None]:
    """Look while the block is entered.

    Raises:
        BenchError: perf is missing, or may not look.
    """
    command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(_RATE), "-p", str(pid), "-o", str(output)]
    try:
        perf = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError as error:
        raise BenchError("perf is missing; remedy: apt-get install linux-perf") from error
    time.sleep(_BEGINS_WITHIN_S)
    try:
        yield
    finally:
        perf.send_signal(signal.SIGINT)
        _, words = perf.communicate(timeout=30)
    if not output.exists():
        raise BenchError(f"perf: {words.strip()}")


def shares(output: Path) -> dict[str, float]:
    """The share of each layer."""
    command = [
        "perf",
        "report",
        "-i",
        str(output),
        "--stdio",
        "-q",
        "--no-children",
        "-F",
        "sample,dso,sym",
        "-t",
        "\t",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    counts: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        if line.count("\t") >= 2 and not line.startswith("#"):
            count, library, symbol = line.split("\t", 2)
            counts[layer_of(library.strip(), symbol)] += int(count)
    if not counts:
        raise BenchError("perf has seen nothing")
    return {layer: count / counts.total() for layer, count in counts.most_common()}


def layer_of(library: str, symbol: str) -> str:
    """Whose code that is, by the file that it stands in."""
    for beginning, layer in _LAYERS:
        if library.startswith(beginning):
            is_evaluation = layer == _INTERPRETER and _EVALUATION in symbol
            return "interpreter: evaluation loop" if is_evaluation else layer
    return "modules in C (socket, select, ...)" if ".cpython-" in library else f"other: {library}"
