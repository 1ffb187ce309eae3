"""Compiles the two programs in C: the emulated bus that daemons load, and the clients that put a load on them."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_FOLDER = _HERE.parent / ".build/bench"
_OPTIONS = ("-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror")


class BenchError(Exception):
    """The measurement cannot be made here; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the compiled programs are."""

    fake_library: Path
    load: Path


def build_tools() -> Tools:
    """Compile what is not there or older than its sources.

    Raises:
        BenchError: There is no compiler.
    """
    _FOLDER.mkdir(parents=True, exist_ok=True)
    tools = Tools(_FOLDER / "libusb-1.0.so.0", _FOLDER / "load")
    _compile(tools.fake_library, "fakeusb", "-shared", "-fPIC", "-Wl,-soname,libusb-1.0.so.0", "-lpthread")
    _compile(tools.load, "loadgen")
    return tools


def build_plane(tools: Tools) -> Path:
    """Compile the sketch of a data plane in C, which loads the emulated bus.

    Raises:
        BenchError: There is no compiler.
    """
    target = _FOLDER / "plane"
    _compile(target, "plane", str(tools.fake_library), f"-Wl,-rpath,{_FOLDER}")
    return target


def _compile(target: Path, folder: str, *options: str) -> None:
    sources = sorted((_HERE / folder).glob("*.c"))
    inputs = [*_HERE.glob("*/*.[ch]"), Path(__file__)]
    if target.exists() and target.stat().st_mtime > max(path.stat().st_mtime for path in inputs):
        return
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchError("there is no C compiler; remedy: apt-get install gcc libc6-dev")
    new = target.with_suffix(f".{os.getpid()}")  # others may be compiling it too
    subprocess.run([compiler, *_OPTIONS, "-o", str(new), *map(str, sources), *options], check=True)
    new.replace(target)
