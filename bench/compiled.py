"""A copy of the package in which the protocol to the phone is compiled by mypyc: the same modules, unchanged.

Those that hold values stay as they are: mypyc knows no decorator that makes a class anew.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.build import BenchError
from bench.environment import tool_program

_ROOT: Final = Path(__file__).parents[1]
_SOURCES: Final = _ROOT / "src/usbmux"
_FOLDER: Final = _ROOT / ".build/bench/compiled"
_SETUP: Final = """
from setuptools import setup
from mypyc.build import mypycify
options = ["--follow-imports=silent", "--ignore-missing-imports"]
setup(name="compiled", packages=[], ext_modules=mypycify([*options, *{modules!r}], opt_level="3"))
"""


def compiled_package() -> Path:
    """The folder that holds the copy; made anew when a source has changed.

    Raises:
        BenchError: mypyc does not compile it; its words.
    """
    paths = [path for path in sorted((_SOURCES / "mux").glob("*.py")) if "@frozen" not in path.read_text()]
    modules = [str(path.relative_to(_SOURCES.parent)) for path in paths]
    stamp = _FOLDER / ".stamp"
    newest = str(max(path.stat().st_mtime for path in _SOURCES.rglob("*.py")))
    if stamp.exists() and stamp.read_text() == newest:
        return _FOLDER
    shutil.rmtree(_FOLDER, ignore_errors=True)
    shutil.copytree(_SOURCES, _FOLDER / "usbmux", ignore=shutil.ignore_patterns("__pycache__"))
    (_FOLDER / "setup.py").write_text(_SETUP.format(modules=modules))
    command = [tool_program("python"), "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_FOLDER, timeout=300)
    if done.returncode != 0:
        raise BenchError(f"mypyc: {(done.stdout + done.stderr)[-2000:]}")
    stamp.write_text(newest)
    return _FOLDER
