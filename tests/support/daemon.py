"""A real `usbmuxd` process with a simulated phone, on a private socket."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

UDID = "00008110-000A1D2E3F4B5C6D"
# Whatever the person who runs the tests has set must not send a client to another daemon.
ADDRESS_VARIABLES = ("USBMUXD_SOCKET_ADDRESS", "PYMOBILEDEVICE3_USBMUX")


def our_command(name: str) -> str:
    """The path of a command that this project installs."""
    return str(Path(sys.executable).with_name(name))


def clean_environment(**changes: str) -> dict[str, str]:
    """This process's environment without any daemon's address, and with `changes`."""
    kept = {name: value for name, value in os.environ.items() if name not in ADDRESS_VARIABLES}
    return kept | {"PYTHONUNBUFFERED": "1"} | changes


@dataclass(frozen=True, slots=True)
class Daemon:
    process: ChildProcess
    socket_path: Path
    udid: str

    def environment(self, spelling: str = "{path}") -> dict[str, str]:
        """The environment of a client of this daemon, which spells the address its own way."""
        return clean_environment(USBMUXD_SOCKET_ADDRESS=spelling.format(path=self.socket_path))


def start_daemon(folder: Path, ports: Mapping[int, str], *, version: int = 2) -> Daemon:
    """Starts a daemon whose phone has `ports` (port -> handler); returns when it serves."""
    lines = ["[[phone]]", f'udid = "{UDID}"', f"version = {version}", "[phone.ports]"]
    lines += [f'{port} = "{handler}"' for port, handler in ports.items()]
    phones = folder / "phones.toml"
    phones.write_text("\n".join(lines) + "\n")
    socket_path = folder / "usbmuxd"
    where = ["-S", str(socket_path), "-C", str(folder / "records")]
    process = ChildProcess(
        [our_command("usbmuxd"), "-f", *where, "--simulate", str(phones)], environment=clean_environment()
    )
    try:
        process.wait_for_line("usbmuxd ready")
    except BaseException:
        process.stop()
        raise
    return Daemon(process, socket_path, UDID)
