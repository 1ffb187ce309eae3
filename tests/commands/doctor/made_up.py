"""A made-up computer for the doctor: files below a directory, and what a daemon might have told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usbmux.commands.doctor.examination import Examination
from usbmux.commands.doctor.processes import daemons
from usbmux.commands.doctor.server import Make, Server, Trouble
from usbmux.commands.doctor.system_view import Account, SystemView
from usbmux.commands.doctor.usb_bus import read_bus
from usbmux.control.address import Address, UnixAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from usbmux.admin.message import PhoneStatus
    from usbmux.client.device import Device
    from usbmux.commands.doctor.finding import Finding
    from usbmux.errors import UsbmuxError

SOCKET: Final = UnixAddress("/run/mux")
SERIAL, UDID = "00008030001A2B3C4D5E6F01", "00008030-001A2B3C4D5E6F01"
ME: Final = Account(1000, frozenset({1000}))
NO_TROUBLE: Final = Server(SOCKET, make=Make.OURS, version="9.9")
NOBODY: Final = Server(SOCKET, Trouble.MISSING, "nobody is there")
_USERS = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nusbmux:x:46:46::/:/bin/false\n"
_GROUPS = "root:x:0:\nada:x:1000:\nphones:x:50:bob,ada\n"


class MadeUpSystem:
    """Linux on a computer with a USB bus and the usual users; a test adds what it is about."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ: dict[str, str] = {}
        self.platform = "linux"
        self.file("/etc/passwd", _USERS)
        self.file("/etc/group", _GROUPS)
        self.folder("/sys/bus/usb/devices")

    @property
    def view(self) -> SystemView:
        return SystemView(self.root, self.environ, self.platform, ME)

    def folder(self, path: str) -> Path:
        real = self.root / path.lstrip("/")
        real.mkdir(parents=True, exist_ok=True)
        return real

    def file(self, path: str, text: str = "", mode: int = 0o644) -> None:
        real = self.folder(path.rpartition("/")[0]) / path.rpartition("/")[2]
        real.write_text(text)
        real.chmod(mode)

    def link(self, path: str, target: str) -> None:
        (self.folder(path.rpartition("/")[0]) / path.rpartition("/")[2]).symlink_to(target)

    def phone(
        self, port_path: str = "1-2", *, configuration: str = "5", driver: str | None = None, authorized: str = "1"
    ) -> None:
        """A phone with a mux interface in any configuration but 0 and 1."""
        folder = f"/sys/bus/usb/devices/{port_path}"
        values = {"idVendor": "05ac", "idProduct": "12a8", "busnum": "1", "devnum": "7", "serial": f"{SERIAL}\0"}
        values |= {"bConfigurationValue": configuration, "authorized": authorized}
        for key, value in values.items():
            self.file(f"{folder}/{key}", f"{value}\n")
        if configuration not in ("", "1"):
            interface = f"{folder}:{configuration}.1"
            for key, value in {"Class": "ff", "SubClass": "fe", "Protocol": "02"}.items():
                self.file(f"{interface}/bInterface{key}", f"{value}\n")
            if driver is not None:
                self.link(f"{interface}/driver", f"../../../bus/usb/drivers/{driver}")
        self.file("/dev/bus/usb/001/007", mode=0o666)

    def process(self, pid: int, *arguments: str, uid: int = 46, opened: str | None = None) -> None:
        self.file(f"/proc/{pid}/cmdline", "".join(f"{argument}\0" for argument in arguments))
        identity = f"Name:\tx\nUid:\t0\t{uid}\t{uid}\t{uid}\nGid:\t0\t46\t46\t46\nGroups:\t50 51\n"
        self.file(f"/proc/{pid}/status", identity)
        if opened is not None:
            self.link(f"/proc/{pid}/fd/3", opened)

    def examination(
        self,
        server: Server = NO_TROUBLE,
        *,
        given: Address | None = None,
        trust: dict[Device, UsbmuxError | None] | None = None,
    ) -> Examination:
        view = self.view
        return Examination(view, server, given, read_bus(view), daemons(view), trust or {})


def served(*devices: Device, phones: tuple[PhoneStatus, ...] | None = None, make: Make = Make.OURS) -> Server:
    """A daemon that answers, and lists these."""
    return Server(SOCKET, make=make, version="9.9", devices=devices, phones=phones)


def said(check: Callable[[Examination], Iterator[Finding]], examination: Examination) -> list[tuple[str, str, str]]:
    """Severity, text and fix of each finding."""
    return [(finding.severity.value, finding.text, finding.fix) for finding in check(examination)]
