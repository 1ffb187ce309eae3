from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import USBMUX
from tests.support.daemon import clean_environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["a name with spaces", "d" * 100])
def test_demo_goes_through_wherever_temporary_files_are(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    environment = clean_environment(TMPDIR=str(tmp_path / name))
    outcome = subprocess.run([*USBMUX, "demo"], env=environment, capture_output=True, text=True, timeout=60)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "equal, nothing lost or changed" in outcome.stdout
