"""The daemons that are compared. Each runs in a mount namespace of its own, on the emulated bus, and hears of plugs."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self, cast

from bench.build import BenchError, Tools
from bench.link import Link
from bench.processors import pin_daemon
from tests.support.daemon import clean_environment
from tests.support.debian_usbmuxd import ROOT
from tests.support.process import ChildProcess

C_PROGRAM: Final = ROOT / "usr/sbin/usbmuxd"
_C_LIBRARIES: Final = ("libimobiledevice-1.0.so.6", "libplist-2.0.so.3", "libusbmuxd-2.0.so.6")
_IN_OWN_NAMESPACE: Final = 'mount --bind "$1" /run && mount --bind "$2" /var/lib && shift 2 && exec env "$@"'
_READY_WITHIN_S: Final = 20.0
_UEVENTS: Final = 15
_KERNEL_GROUP: Final = 1

C: Final = "C"
OURS: Final = "ours"
SUBJECTS: Final = (C, OURS)
INSTALLED: Final = (str(Path(sys.executable).with_name("usbmuxd")),)
"""How ours is started as a rule."""


def check_subjects() -> None:
    """Look whether both daemons can be run here.

    Raises:
        BenchError: One cannot.
    """
    if os.getuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        raise BenchError("the daemons need a mount namespace of their own; remedy: run this as root")
    if not C_PROGRAM.exists():
        raise BenchError("Debian's usbmuxd is not unpacked; remedy: scripts/provision-kernel")


class RunningDaemon:
    """One daemon with its emulated phones, until `stop`.

    Args:
        subject: Which one.
        folder: An empty folder with a short path.
        variables: Further ones of bench/fakeusb.
        launcher: What ours is started by: words that go before its options, of which the first ones may be variables.
    """

    def __init__(
        self,
        subject: str,
        folder: Path,
        tools: Tools,
        link: Link,
        variables: Mapping[str, str] | None = None,
        launcher: Sequence[str] = INSTALLED,
    ) -> None:
        self.subject = subject
        self.socket = folder / "run/usbmuxd"
        self.control = folder / "control"
        (folder / "run/udev").mkdir(parents=True)
        (folder / "run/udev/control").touch()  # by this file daemons and libraries know that plugs will be reported
        self._udev = _udev_socket()
        (folder / "lib").mkdir()
        settings = {
            "LD_PRELOAD": str(tools.fake_library),
            "FAKEUSB_CONTROL": str(self.control),
            **link.environment(),
            **(variables or {}),
        }
        command = _c_command(folder, settings) if subject == C else _our_command(folder, launcher)
        namespace = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            _IN_OWN_NAMESPACE,
            "sh",
            str(folder / "run"),
            str(folder / "lib"),
        ]
        self._started_s = time.monotonic()
        self._process = ChildProcess(
            [*namespace, *(f"{name}={value}" for name, value in settings.items()), *command],
            environment=clean_environment(),
        )
        try:
            self.ready_s = self._wait_ready()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the daemon itself: all that starts it becomes it."""
        return self._process.pid

    @property
    def where(self) -> Sequence[str]:
        """See `Loaded`."""
        return (f"socket={self.socket}", f"control={self.control}", f"pid={self.pid}")

    def tell_phone(self, command: str) -> dict[str, int]:
        """Give the emulated phone a command; see bench/fakeusb/control.c.

        Returns:
            Its counters.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.connect(str(self.control))
            sock.send(command.encode())
            return cast(dict[str, int], json.loads(sock.recv(4096)))

    def resident_bytes(self) -> int:
        """The memory that the daemon has now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise BenchError(f"{self.subject} has ended: {self._process.output}")

    def stop(self) -> str:
        """End it. Returns: its name, and all that it has written."""
        self._process.stop()
        self._udev.close()
        return f"{self.subject}: {self._process.output}"

    def _wait_ready(self) -> float:
        while time.monotonic() < self._started_s + _READY_WITHIN_S:
            with suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(self.socket))
                ready_s = time.monotonic() - self._started_s
                self._check_bus()
                pin_daemon(self.pid)
                return ready_s
            time.sleep(0.001)
        raise BenchError(f"does not serve: {self.stop()}")

    def _check_bus(self) -> None:
        while time.monotonic() < self._started_s + _READY_WITHIN_S:
            with suppress(OSError):
                self.tell_phone("report")
                return
            time.sleep(0.001)
        raise BenchError(f"does not use the emulated bus: {self.stop()}")


def _udev_socket() -> socket.socket:
    """Hears the kernel of plugs as udev does, by which a daemon knows that udev runs where it can be heard."""
    udev = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _UEVENTS)
    udev.bind((0, _KERNEL_GROUP))
    return udev


def _c_command(folder: Path, settings: dict[str, str]) -> list[str]:
    libraries = folder / "libraries"
    libraries.mkdir()
    for name in _C_LIBRARIES:
        (libraries / name).symlink_to((ROOT / "usr/lib" / f"{os.uname().machine}-linux-gnu" / name).resolve())
    settings["LD_LIBRARY_PATH"] = str(libraries)
    return [str(C_PROGRAM), "-f", "-p"]


def _our_command(folder: Path, launcher: Sequence[str]) -> list[str]:
    return [*launcher, "-f", "-p", "-S", str(folder / "run/usbmuxd"), "-C", str(folder / "lib/lockdown")]
