"""Where the unmodified programs are; a test whose program is missing is skipped with the remedy."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

BUILD = Path(__file__).parents[2] / ".build"
PACKAGES = {
    "curl": "curl",
    "idevice_id": "libimobiledevice-utils",
    "ideviceinfo": "libimobiledevice-utils",
    "idevicename": "libimobiledevice-utils",
    "idevicepair": "libimobiledevice-utils",
    "inetcat": "libusbmuxd-tools",
    "iproxy": "libusbmuxd-tools",
    "scp": "openssh-client",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "tshark": "tshark",
}
GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def debian_program(name: str) -> str:
    """The path of a program of the system's."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    return found or _missing(name, f"apt-get install {PACKAGES[name]}")


def pymobiledevice3() -> str:
    return _provisioned("pymobiledevice3", BUILD / "pymobiledevice3/bin/pymobiledevice3")


def go_ios() -> str:
    system, machine = platform.system().lower(), GO_ARCHITECTURES.get(platform.machine(), platform.machine())
    folder = f"go-ios-{system}-{machine}_{system}_{machine}"
    return _provisioned("go-ios", BUILD / "go-ios/node_modules/go-ios/dist" / folder / "ios")


def version(*command: str) -> str:
    """The first version number that a command prints."""
    printed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    found = re.search(r"\d+(\.\d+)+(p\d+)?", printed.stdout + printed.stderr)
    assert found, f"{command} printed no version, but: {printed}"
    return found.group()


def _provisioned(name: str, path: Path) -> str:
    return str(path) if path.exists() else _missing(name, "scripts/provision-interop")


def _missing(name: str, remedy: str) -> NoReturn:
    reason = f"{name} is not installed; remedy: {remedy}"
    if os.environ.get("USBMUX_REQUIRE_INTEROP") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
