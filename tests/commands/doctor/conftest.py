from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.commands.doctor.made_up import MadeUpSystem

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def system(tmp_path: Path) -> MadeUpSystem:
    return MadeUpSystem(tmp_path / "root")
