"""Programs of the system that judge what we ship."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(__file__).parents[2]
_PACKAGES = {
    "dh": "debhelper",
    "dh_python3": "dh-python",
    "dpkg-buildpackage": "dpkg-dev",
    "fish": "fish",
    "lintian": "lintian",
    "man": "man-db",
    "systemd-analyze": "systemd",
    "systemd-sysusers": "systemd",
    "idevice_id": "libimobiledevice-utils",
    "ideviceinfo": "libimobiledevice-utils",
    "idevicepair": "libimobiledevice-utils",
    "systemd-tmpfiles": "systemd",
    "zsh": "zsh",
}


def tool(name: str) -> str:
    """The path of a program; skips the test where there is none, and says what brings it."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    return path or missing(f"{name} is not installed", f"apt-get install {_PACKAGES[name]}")


def missing(what: str, remedy: str) -> NoReturn:
    reason = f"{what}; remedy: {remedy}"
    if os.environ.get("USBMUX_REQUIRE_INTEROP") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def run(
    *command: str | Path, environment: Mapping[str, str] | None = None, within_s: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; the caller judges the outcome."""
    return subprocess.run(
        command,
        env=None if environment is None else {**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


def build_package(folder: Path, *, umask: int = 0o022, **environment: str) -> Path:
    """The Debian package, made into that folder; skips the test where it cannot be made."""
    for name in ("dh", "dh_python3", "dpkg-buildpackage"):
        tool(name)
    under = ["sh", "-c", 'umask "$0" && exec "$@"', f"{umask:o}"]
    outcome = run(*under, PROJECT / "scripts/deb", folder, environment=environment, within_s=200)
    assert outcome.returncode == 0, outcome.stderr
    return Path(outcome.stdout.splitlines()[-1])
