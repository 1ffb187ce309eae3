"""The programs that forward a local port to a port of a phone, each started as its users start it."""

import platform
import resource
import shutil
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from bench.build import BenchError
from tests.interop.programs import BUILD, GO_ARCHITECTURES
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess

_READY_WITHIN_S: Final = 30.0
_REMOTE: Final = 11  # whatever it is: bench/loadgen/serve.c has one service for all ports
_GO_IOS: Final = "npm/node_modules/go-ios/dist/go-ios-linux-{0}_linux_{0}/ios"


@dataclass(frozen=True, slots=True)
class Forwarder:
    """How one is started: {local} and {remote} stand for the ports, {path} for the daemon's socket."""

    name: str
    command: Sequence[str]
    spelling: str


def present_forwarders() -> list[Forwarder]:
    """The first two are ours; then those that are installed, and tests/interop says how they get here."""
    known = (
        Forwarder("usbmux forward", (_ours("usbmux"), "forward", "{local}:{remote}"), "unix:{path}"),
        Forwarder("tcprelay", (_ours("tcprelay"), "{remote}:{local}"), "unix:{path}"),
        Forwarder("iproxy", (shutil.which("iproxy") or "", "{local}:{remote}"), "UNIX:{path}"),
        Forwarder("go-ios", (str(BUILD / _go_ios()), "forward", "{local}", "{remote}"), "unix://{path}"),
        Forwarder(
            "pymobiledevice3",
            (str(BUILD / "pymobiledevice3/bin/pymobiledevice3"), "usbmux", "forward", "{local}", "{remote}"),
            "{path}",
        ),
    )
    return [forwarder for forwarder in known if Path(forwarder.command[0]).is_file()]


class RunningForwarder:
    """One forwarder between a free local port and a phone of the daemon at a path, while the block is entered."""

    def __init__(self, forwarder: Forwarder, daemon: Path) -> None:
        self._name = forwarder.name
        self.local = _free_port()
        words: Mapping[str, object] = {"local": self.local, "remote": _REMOTE}
        command = [forwarder.command[0], *(word.format_map(words) for word in forwarder.command[1:])]
        address = forwarder.spelling.format(path=daemon)
        self._process = ChildProcess(command, environment=clean_environment(USBMUXD_SOCKET_ADDRESS=address))

    def __enter__(self) -> Self:
        deadline_s = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < deadline_s:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.local)):
                return self
            time.sleep(0.05)
        raise BenchError(f"does not listen: {self.stop()}")

    def __exit__(self, *exception: object) -> None:
        self._process.stop()

    @property
    def where(self) -> Sequence[str]:
        """See `Loaded`."""
        return (f"tcp={self.local}", f"pid={self._process.pid}")

    def stop(self) -> str:
        """See `Loaded`."""
        self._process.stop()
        return f"{self._name}: {self._process.output}"

    def resident_bytes(self) -> int:
        """The memory that it has now."""
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()


def _ours(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _go_ios() -> str:
    machine = platform.machine()
    return _GO_IOS.format(GO_ARCHITECTURES.get(machine, machine))
