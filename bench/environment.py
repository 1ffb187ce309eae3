"""An environment of its own, in .build, for the programs that the daemon is looked into with or compared with."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.build import BenchError

_ROOT: Final = Path(__file__).parents[1]
_REQUIREMENTS: Final = _ROOT / "requirements/alternatives.txt"
FOLDER: Final = _ROOT / ".build/alternatives"


def tool_program(name: str) -> str:
    """The path of a program there; the environment is made if it is not there, or its requirements have changed.

    Raises:
        BenchError: It could not be made.
    """
    stamp = FOLDER / ".stamp"
    wanted = _REQUIREMENTS.read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        python = str(FOLDER / "bin/python")
        options = ("-qq", "--disable-pip-version-check", "--no-deps", "--require-hashes")
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
            subprocess.run([python, "-m", "pip", "install", *options, "--requirement", str(_REQUIREMENTS)], check=True)
        except subprocess.CalledProcessError as error:
            raise BenchError(f"cannot make {FOLDER}: {error}") from error
        stamp.write_text(wanted)
    return str(FOLDER / "bin" / name)
