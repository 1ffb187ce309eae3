"""Our wheel, and an environment that has nothing else but what the wheel asks for."""

from __future__ import annotations

import os
import sys
from importlib.metadata import distribution
from typing import TYPE_CHECKING

from tests.packaging.tools import PROJECT, run
from tests.support.daemon import ADDRESS_VARIABLES

if TYPE_CHECKING:
    from pathlib import Path

# What the extras `cli` and `testing`, and pytest, need; in place of a registry. The binding of libusb is none of them.
_REQUIREMENTS = (
    *("cffi", "click", "cryptography", "iniconfig", "packaging"),
    *("pluggy", "pycparser", "pygments", "pytest"),
)


def build_wheel(folder: Path) -> Path:
    """The wheel, alone in its folder."""
    outcome = run_in_project(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    assert outcome == "", outcome
    (wheel,) = folder.glob("*.whl")
    return wheel


def run_in_project(*command: str | Path) -> str:
    """What went wrong, if anything."""
    outcome = run("env", "-C", PROJECT, *command, within_s=100)
    return outcome.stderr if outcome.returncode else ""


class Environment:
    """A virtual environment in which pip finds our wheel, and takes for installed what that needs.

    Args:
        folder: Where to make it.
        wheel: What pip finds.
    """

    def __init__(self, folder: Path, wheel: Path) -> None:
        self._folder = folder
        outcome = run(sys.executable, "-m", "venv", folder, within_s=100)
        assert outcome.returncode == 0, outcome.stderr
        others = folder / "others"
        others.mkdir()
        for name in _REQUIREMENTS:
            _link_distribution(name, others)
        (packages,) = folder.glob("lib/python*/site-packages")
        (packages / "others.pth").write_text(f"{others}\n")
        kept = {name: value for name, value in os.environ.items() if name not in (*ADDRESS_VARIABLES, "PYTHONPATH")}
        self.variables = kept | {
            "PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheel.parent),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTEST_ADDOPTS": "-W error",
            "PYTHONUNBUFFERED": "1",
        }
        """What a shell needs to be in it."""

    @property
    def packages(self) -> set[str]:
        """The distributions that were installed into it."""
        return {path.name.partition("-")[0] for path in self._folder.glob("lib/python*/site-packages/*.dist-info")}


def _link_distribution(name: str, folder: Path) -> None:
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
        (folder / top).symlink_to(str(found.locate_file(top)))
