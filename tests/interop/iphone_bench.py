"""A virtual iPhone behind a daemon on a private socket, and programs that use it."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from usbmux.control.address import UnixAddress
from usbmux.testing import RunningDaemon
from usbmux.testing.iphone import Identity, VirtualIPhone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "Ada"
RUN_WITHIN_S = 60.0


class Spelling(StrEnum):
    """How each client wants the address of a Unix socket."""

    LIBIMOBILEDEVICE = "UNIX:{path}"
    PYMOBILEDEVICE3 = "{path}"
    GO_IOS = "unix://{path}"
    APPIUM = "UNIX:{path}"


class IPhoneBench:
    """Programs are run with the address of the daemon, spelled as they want it."""

    def __init__(self, phone: VirtualIPhone, daemon: RunningDaemon) -> None:
        self.phone = phone
        self._daemon = daemon

    @property
    def socket_path(self) -> str:
        address = self._daemon.address
        assert isinstance(address, UnixAddress)
        return address.path

    def environment(self, spelling: str) -> dict[str, str]:
        """The environment of a client."""
        # Messages that a test looks for are not to be broken into lines, coloured or translated.
        return clean_environment(
            USBMUXD_SOCKET_ADDRESS=spelling.format(path=self.socket_path),
            HOME=str(Path(self.socket_path).parent),  # where some keep pairings of their own
            COLUMNS="200",
            NO_COLOR="1",
            LC_ALL="C.UTF-8",
            TZ="UTC",
        )

    def run(self, spelling: str, *command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """A program that has ended, well or not."""
        return subprocess.run(
            command,
            env=self.environment(spelling),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_WITHIN_S,
        )

    def printed(self, spelling: str, *command: str, folder: Path | None = None) -> str:
        """What a program prints that succeeds."""
        completed = self.run(spelling, *command, folder=folder)
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    def started(self, spelling: str, *command: str) -> ChildProcess:
        """A program that goes on, and believes that somebody looks at what it prints."""
        return ChildProcess(command, environment=self.environment(spelling), on_terminal=True)


def line_shown(process: ChildProcess, pattern: str, act: Callable[[], object]) -> str:
    """The line in which a program shows what `act` does, which is done until then: no program says when it listens."""
    deadline = time.monotonic() + RUN_WITHIN_S
    while True:
        act()
        try:
            return process.wait_for_line(pattern, within_s=1.0).string
        except AssertionError:
            if time.monotonic() > deadline:
                raise


@contextmanager
def iphone_bench() -> Iterator[IPhoneBench]:
    """A phone that has met nobody yet; in the end it must not have found fault with the daemon."""
    phone = VirtualIPhone(Identity(device_name=NAME))
    with RunningDaemon([phone.device]) as daemon:
        yield IPhoneBench(phone, daemon)
        violations = daemon.violations
    assert violations == []
