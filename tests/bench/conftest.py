from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Protocol

import pytest

from bench.build import Tools, build_tools
from tests.bench.fake_bus import FakeBus

if TYPE_CHECKING:
    from pathlib import Path


class MakesBus(Protocol):
    def __call__(self, **variables: int) -> FakeBus: ...


@pytest.fixture(scope="session")
def fake_library() -> Path:
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        pytest.skip("there is no C compiler; remedy: apt-get install gcc libc6-dev")
    return build_tools().fake_library


@pytest.fixture
def bus_with(fake_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakesBus:
    """Makes a bus with these settings, as `segment=2012`; see bench/fakeusb/settings.c."""

    def make(**variables: int) -> FakeBus:
        for name, value in variables.items():
            monkeypatch.setenv(f"FAKEUSB_{name.upper()}", str(value))
        return FakeBus(fake_library, tmp_path)

    return make


@pytest.fixture
def no_tools(tmp_path: Path) -> Tools:
    """For rows that start nothing."""
    return Tools(tmp_path / "none", tmp_path / "none")
