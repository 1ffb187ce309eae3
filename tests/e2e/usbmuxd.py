"""The real daemon process with simulated phones."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from usbmux import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UDIDS = {1: "00008030-001A2B3C4D5E6F01", 2: "00008110-000A1D2E3F4B5C6D"}
"""The UDID of the phone by its mux version."""
COMMAND = [sys.executable, "-m", "usbmux.commands.usbmuxd", "-f"]
_PHONE = """
[[phone]]
udid = "{udid}"
version = {version}
[phone.ports]
7 = "echo"
9 = "discard"
19 = "source"
99 = "digest"
"""


@dataclass(frozen=True, slots=True)
class Usbmuxd:
    """A daemon that serves."""

    process: ChildProcess
    socket_path: Path
    tcp_port: int

    def client(self) -> Client:
        return Client(str(self.socket_path), timeout_s=20)


def write_phones(folder: Path) -> Path:
    """A file that describes a phone of each version."""
    path = folder / "phones.toml"
    path.write_text("".join(_PHONE.format(udid=udid, version=version) for version, udid in UDIDS.items()))
    return path


@contextmanager
def start_usbmuxd(folder: Path, *arguments: str) -> Iterator[Usbmuxd]:
    """A daemon on a Unix socket and a TCP port; it must end well."""
    socket_path = folder / "usbmuxd"
    command = [*COMMAND, "-S", str(socket_path), "-S", "127.0.0.1:0", "-C", str(folder / "lockdown")]
    command += ["--simulate", str(write_phones(folder)), *arguments]
    with ChildProcess(command, environment=clean_environment()) as process:
        ready = process.wait_for_line(r"^usbmuxd ready: unix:\S+, 127\.0\.0\.1:(\d+)$")
        yield Usbmuxd(process, socket_path, int(ready[1]))
        assert process.stop() == 0
        assert "Traceback" not in process.output
        assert "ERROR" not in process.output
