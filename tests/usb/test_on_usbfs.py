"""Runs the cases in usbfs/cases: the real libusb in a process whose usbfs, sysfs and udev are played by usbfs/."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.usb.usbfs.host import build_preload

_CASES = Path(__file__).parent / "usbfs" / "cases"


@pytest.fixture(scope="module")
def preload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not sys.platform.startswith("linux"):
        pytest.skip("usbfs is Linux only")
    library = build_preload(tmp_path_factory.mktemp("usbfs"))
    if library is None:
        pytest.skip("no C compiler for the fake usbfs")
    return library


@pytest.mark.slow
@pytest.mark.parametrize("cases", sorted(path.name for path in _CASES.glob("*_cases.py")))
def test_libusb_on_fake_usbfs_passes(cases: str, preload: Path) -> None:
    pytest.importorskip("usb1", reason="the libusb binding is not installed")
    command = [sys.executable, "-X", "dev", "-m", "pytest", "-p", "no:cacheprovider", "-q", "--timeout", "60"]

    ended = subprocess.run(
        [*command, str(_CASES / cases)],
        env=os.environ | {"LD_PRELOAD": str(preload)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
    )

    assert ended.returncode == 0, ended.stdout
    assert " passed" in ended.stdout
