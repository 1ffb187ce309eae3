"""Unmodified programs inside a test of somebody else's project, which uses our fixtures."""

from __future__ import annotations

import pytest

from tests.interop.programs import debian_program

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.interop

TEST = """
import subprocess

import pytest
from usbmux.testing.iphone import Identity, Trust


@pytest.mark.virtual_iphone(identity=Identity(device_name="Ada"))
def test_pair(usbmuxd, virtual_iphone):
    assert subprocess.check_output([{idevicename!r}], text=True, timeout=60) == "Ada\\n"
    assert virtual_iphone.hosts.host_ids


@pytest.mark.virtual_iphone(trust=Trust.DENIED)
def test_denied(usbmuxd):
    done = subprocess.run([{idevicepair!r}, "pair"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "denied" in done.stdout + done.stderr
"""


def test_fixtures_serve_libimobiledevice(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    programs = {name: debian_program(name) for name in ("idevicename", "idevicepair")}
    pytester.makepyfile(test_it=TEST.format(**programs))
    result = pytester.runpytest_subprocess("-p", "usbmux.testing.pytest_plugin", "-W", "error", timeout=120)
    result.assert_outcomes(passed=2)
