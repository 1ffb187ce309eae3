"""What the guest is booted from: made by scripts/provision-kernel, and this project on top of it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from tests.kernel.bench import IS_FULL

PROJECT = Path(__file__).parents[2]
BUILD = PROJECT / ".build/kernel"
ROOT = BUILD / "root"
KERNEL = BUILD / "vmlinux"
QEMU = "qemu-system-x86_64"
# What is copied to /project in the guest, where PYTHONPATH leads: the sources, and what they need of this environment.
GUEST_PROGRAMS = Path(__file__).parent / "programs"
AGENT = Path(__file__).parent / "agent.py"
DEPENDENCIES: tuple[str, ...] = ("usb1", "click")
if IS_FULL:  # larger than all else, and only our daemon needs it, to make a pairing
    DEPENDENCIES += ("cryptography", "cffi", "_cffi_backend")


def require_machine() -> None:
    """Skips the tests where there is no QEMU or no guest; where they are required, that is an error."""
    if shutil.which(QEMU) is None:
        _missing("QEMU", "apt-get install qemu-system-x86")
    if not (BUILD / ".stamp").exists():
        _missing("the guest", "scripts/provision-kernel")


def make_initramfs(folder: Path) -> Path:
    """The initramfs with the sources as they are now."""
    project = folder / "overlay/project"
    shutil.copytree(GUEST_PROGRAMS, project)
    shutil.copy(AGENT, project)
    shutil.copytree(PROJECT / "src/usbmux", project / "usbmux", ignore=shutil.ignore_patterns("__pycache__"))
    for name in DEPENDENCIES:
        source = Path(pytest.importorskip(name).__file__ or "")
        if source.name == "__init__.py":
            shutil.copytree(source.parent, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, project)
    # Compiled here, as the guest is slow; not by time, because an initramfs keeps none.
    _run_python_of_guest(
        "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash", "-s", project.parent, project
    )
    initramfs = folder / "initramfs"
    with initramfs.open("wb") as output:
        output.write((BUILD / "root.cpio").read_bytes())
        output.write(_archive(project.parent))
    shutil.rmtree(project.parent)
    return initramfs


def _run_python_of_guest(*arguments: str | Path) -> None:
    libraries = ROOT / "usr/lib/x86_64-linux-gnu"
    loader: list[str | Path] = [ROOT / "lib64/ld-linux-x86-64.so.2", "--library-path", libraries]
    subprocess.run(
        [*loader, ROOT / "usr/bin/python3.11", *arguments],
        env={"PYTHONHOME": str(ROOT / "usr")},
        check=True,
        timeout=60,
    )


def _archive(folder: Path) -> bytes:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    return subprocess.run(
        [ROOT / "bin/busybox", "cpio", "-o", "-H", "newc", "-R", "0:0"],
        input="\n".join(names).encode(),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # how many blocks it wrote
        check=True,
        timeout=60,
    ).stdout


def _missing(name: str, remedy: str) -> NoReturn:
    reason = f"{name} is not here; remedy: {remedy}"
    can_be_had = platform.machine() == "x86_64" and shutil.which("apt-get") is not None
    if can_be_had and os.environ.get("USBMUX_REQUIRE_INTEROP") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
