"""64 phones over libusb's functions, each with a context of its own, cost the one that is used nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

ROOT = Path(__file__).parents[2]
FEW, MANY = 2, 64
SLACK = 30
"""Half a step for each phone."""


def steps_with(phones: int, library: Path, folder: Path) -> dict[str, int]:
    folder.mkdir()
    command = [sys.executable, "-m", "tests.bench.phones_at_once", str(folder), str(phones)]
    settings = {"FAKEUSB_PHONES": str(phones), "LD_PRELOAD": str(library)}
    environment = os.environ | settings
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return cast("dict[str, int]", json.loads(done.stdout))


@pytest.mark.slow
def test_64_phones_are_attached_work_with_one_takes_as_many_steps_as_beside_one_other(
    fake_library: Path, tmp_path: Path
) -> None:
    few, many = (steps_with(count, fake_library, tmp_path / str(count)) for count in (FEW, MANY))
    assert {work: more for work in many if (more := many[work] - few[work]) > SLACK} == {}
