"""Where the unmodified programs are; a test whose program is missing is skipped with the remedy."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

BUILD = Path(__file__).parents[2] / ".build"
NPM = BUILD / "npm"
LIBIMOBILEDEVICE_PROGRAMS = (
    "idevice_id",
    "idevicedate",
    "idevicediagnostics",
    "ideviceinfo",
    "idevicename",
    "idevicenotificationproxy",
    "idevicepair",
    "idevicescreenshot",
    "idevicesyslog",
)
PACKAGES = {
    "curl": "curl",
    **dict.fromkeys(LIBIMOBILEDEVICE_PROGRAMS, "libimobiledevice-utils"),
    "fusermount": "fuse",
    "ideviceinstaller": "ideviceinstaller",
    "ifuse": "ifuse",
    "inetcat": "libusbmuxd-tools",
    "iproxy": "libusbmuxd-tools",
    "jq": "jq",
    "scp": "openssh-client",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "tshark": "tshark",
}
OLDEST_NODE = (20, 19)
GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def debian_program(name: str) -> str:
    """The path of a program of the system's."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    return found or _missing(name, f"apt-get install {PACKAGES[name]}")


def pymobiledevice3() -> str:
    return _provisioned("pymobiledevice3", BUILD / "pymobiledevice3/bin/pymobiledevice3")


def tidevice() -> str:
    return _provisioned("tidevice", BUILD / "tidevice/bin/tidevice")


def python_with_ssh() -> str:
    """The path of a Python that has asyncssh and paramiko."""
    return _provisioned("asyncssh and paramiko", BUILD / "ssh/bin/python")


def sphinx_build() -> str:
    return _provisioned("Sphinx", BUILD / "sphinx/bin/sphinx-build", remedy="make docs")


def node() -> str:
    """The path of a Node.js that is new enough for the libraries in `NPM`."""
    found = shutil.which("node")
    if found is None or tuple(map(int, version(found, "--version").split("."))) < OLDEST_NODE:
        _missing("Node.js", f"version {'.'.join(map(str, OLDEST_NODE))} or later")
    return found


def npm_version(library: str) -> str:
    """The version of a library that scripts run by `node` can import."""
    package = Path(_provisioned(library, NPM / "node_modules" / library / "package.json"))
    release: str = json.loads(package.read_text())["version"]
    return release


def go_ios() -> str:
    system, machine = platform.system().lower(), GO_ARCHITECTURES.get(platform.machine(), platform.machine())
    folder = f"go-ios-{system}-{machine}_{system}_{machine}"
    return _provisioned("go-ios", NPM / "node_modules/go-ios/dist" / folder / "ios")


def version(*command: str) -> str:
    """The first version number that a command prints."""
    printed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    found = re.search(r"\d+(\.\d+)+(p\d+)?", printed.stdout + printed.stderr)
    assert found, f"{command} printed no version, but: {printed}"
    return found.group()


def _provisioned(name: str, path: Path, *, remedy: str = "scripts/provision-interop") -> str:
    return str(path) if path.exists() else _missing(name, remedy)


def _missing(name: str, remedy: str) -> NoReturn:
    reason = f"{name} is not installed; remedy: {remedy}"
    if os.environ.get("USBMUX_REQUIRE_INTEROP") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
