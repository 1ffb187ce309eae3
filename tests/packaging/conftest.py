from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.packaging.tools import build_package

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian package; usbmux-compat is beside it."""
    return build_package(tmp_path_factory.mktemp("dist"))
