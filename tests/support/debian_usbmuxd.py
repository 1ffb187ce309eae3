"""Debian's C daemon, unmodified, with a /run and a /var/lib of its own, so that nobody else meets it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2] / ".build/kernel/root"
"""Where scripts/provision-kernel has unpacked Debian's packages."""
_PROGRAM = ROOT / "usr/sbin/usbmuxd"
_LIBRARIES = ("libimobiledevice-1.0.so.6", "libplist-2.0.so.3", "libusb-1.0.so.0", "libusbmuxd-2.0.so.6")
_IN_OWN_NAMESPACE = 'mount --bind "$1" /run && mount --bind "$2" /var/lib && shift 2 && exec env "$@"'


def require_debian_usbmuxd() -> None:
    """Skips the test where the daemon cannot be run, and says why; not to have unpacked it may be an error."""
    if os.getuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("Debian's usbmuxd needs a mount namespace of its own; remedy: run the tests as root")
    if not _PROGRAM.exists():
        reason = "Debian's usbmuxd is not unpacked; remedy: scripts/provision-kernel"
        if os.environ.get("USBMUX_REQUIRE_INTEROP") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def start_debian_usbmuxd(
    folder: Path, variables: Mapping[str, str], *prefix: str, pairs: bool = False
) -> tuple[ChildProcess, Path]:
    """Starts the daemon in the foreground; its pair records are in `lib/lockdown` below `folder`.

    Args:
        folder: Empty, and its path short: the daemon's socket is in it.
        variables: For its environment and nobody else's, such as LD_PRELOAD.
        prefix: A command that runs the rest of its arguments.
        pairs: Whether it pairs with phones by itself, and hides those that have no lockdown.

    Returns:
        The process and its socket, which is there a moment later.
    """
    run, state, libraries = folder / "run", folder / "lib", folder / "libraries"
    for path in (run, state, libraries):
        path.mkdir()
    for name in _LIBRARIES:  # the C library and its like are the system's, as the program to preload is made for them
        (libraries / name).symlink_to((ROOT / "usr/lib" / f"{os.uname().machine}-linux-gnu" / name).resolve())
    settings = [f"{name}={value}" for name, value in {**variables, "LD_LIBRARY_PATH": str(libraries)}.items()]
    command = ["unshare", "--mount", "sh", "-c", _IN_OWN_NAMESPACE, "sh", str(run), str(state)]
    daemon = [str(_PROGRAM), "-f"] if pairs else [str(_PROGRAM), "-f", "-p"]
    process = ChildProcess([*prefix, *command, *settings, *daemon], environment=clean_environment())
    return process, run / "usbmuxd"
