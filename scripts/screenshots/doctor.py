"""What `usbmux doctor` says of a made-up computer on which some things are wrong."""

import io
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from scripts.screenshots.svg import self_contained
from usbmux.client.device import Device
from usbmux.commands.doctor.examination import Examination
from usbmux.commands.doctor.processes import daemons
from usbmux.commands.doctor.report import CHECKS, in_words
from usbmux.commands.doctor.server import Make, Server
from usbmux.commands.doctor.system_view import Account, SystemView
from usbmux.commands.doctor.usb_bus import read_bus
from usbmux.control.address import UnixAddress
from usbmux.errors import NotPairedError

WIDTH: Final = 128
_ANNA: Final = "00008030-001A2B3C4D5E6F01"
_ME: Final = Account(1000, frozenset({1000}))
_PHONES: Final = {"1-2": (_ANNA, 7, 0o666), "1-4": ("00008110-000A1D2E3F4B5C6D", 9, 0o600)}
_VALUES: Final = {"idVendor": "05ac", "idProduct": "12a8", "busnum": "1", "bConfigurationValue": "5", "authorized": "1"}
_INTERFACE: Final = {"bInterfaceClass": "ff", "bInterfaceSubClass": "fe", "bInterfaceProtocol": "02"}


def draw_doctor() -> str:
    """The terminal, as SVG."""
    with tempfile.TemporaryDirectory() as folder:
        _make_computer(Path(folder))
        view = SystemView(Path(folder), {}, "linux", _ME)
        anna = Device(1, _ANNA, port_path="1-2")
        server = Server(UnixAddress("/run/usbmuxd"), make=Make.OURS, version="0.1.0", devices=(anna,))
        trust = {anna: NotPairedError("the phone has no pairing with this computer")}
        examination = Examination(view, server, None, read_bus(view), daemons(view), trust)
        findings = [finding for check in CHECKS for finding in check(examination)]
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ usbmux doctor"))
    console.print(Text.from_ansi(in_words(findings, in_colour=True)))
    return self_contained(console.export_svg(title="usbmux doctor", unique_id="doctor"))


def _make_computer(root: Path) -> None:
    files = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nusbmux:x:46:46::/:\n",
        "etc/group": "root:x:0:\nada:x:1000:\nusbmux:x:46:\n",
        "proc/812/cmdline": "/usr/bin/usbmuxd\0--systemd\0",
        "proc/812/status": "Name:\tusbmuxd\nUid:\t46\t46\t46\t46\nGid:\t46\t46\t46\t46\nGroups:\t46\n",
    }
    for port, (udid, number, _mode) in _PHONES.items():
        device = f"sys/bus/usb/devices/{port}"
        values = _VALUES | {"serial": udid.replace("-", ""), "devnum": str(number)}
        files |= {f"{device}/{key}": f"{value}\n" for key, value in values.items()}
        files |= {f"{device}:5.1/{key}": f"{value}\n" for key, value in _INTERFACE.items()}
        files[f"dev/bus/usb/001/{number:03}"] = ""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    for _udid, number, mode in _PHONES.values():
        (root / f"dev/bus/usb/001/{number:03}").chmod(mode)
