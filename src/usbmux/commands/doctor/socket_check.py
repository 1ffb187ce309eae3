"""The daemon's socket: whether it is there, whether we may connect, and who answers."""

import os
import shlex
import stat
from collections.abc import Iterator
from typing import Final, assert_never

from usbmux.commands.doctor.accounts import group_name, is_member, user_name
from usbmux.commands.doctor.examination import Examination
from usbmux.commands.doctor.finding import Finding, Severity
from usbmux.commands.doctor.server import Trouble
from usbmux.control.address import TcpAddress, UnixAddress

_CHECK: Final = "socket"


def check_socket(examination: Examination) -> Iterator[Finding]:
    """The address that was given, or the usual one."""
    server = examination.server
    if server.trouble is not None:
        yield Finding(_CHECK, Severity.PROBLEM, *_trouble(examination, server.trouble))
        return
    who = f"{server.make.value} {server.version}".rstrip()
    process = f", {server.process}," if server.process else ""
    yield Finding(_CHECK, Severity.OK, f"{who}{process} answers at {server.address}")
    if server.process is not None and not server.process.uses_usb:
        yield Finding(_CHECK, Severity.NOTE, "its phones are simulated; it does not look at the USB bus")
    if server.is_secretive:
        text = "what the daemon does with each phone is told to root and the daemon's user alone"
        yield Finding(
            _CHECK, Severity.NOTE, text, fix=f"sudo usbmux --socket {shlex.quote(str(server.address))} doctor"
        )


def _trouble(examination: Examination, trouble: Trouble) -> tuple[str, str]:
    """The trouble in words, and what to do."""
    server = examination.server
    address, start = server.address, examination.start_fix
    match trouble:
        case Trouble.MISSING:
            return f"there is no daemon: no socket at {address}", start
        case Trouble.NO_SOCKET:
            text = f"what lies at {address} is no socket; containers put a directory there when it was missing"
            return text, f"remove it, then: {start}"
        case Trouble.NOT_ALLOWED:
            return _not_allowed(examination)
        case Trouble.DESERTED if isinstance(address, TcpAddress):
            return f"nobody listens at {address}", "start the daemon there, or unset what names this address"
        case Trouble.DESERTED:
            return f"nobody listens at {address}: the daemon has ended and left its socket", start
        case Trouble.UNREACHABLE:
            return server.error, "check the address, and the way there"
        case Trouble.SILENT:
            return (
                f"{server.error}; it may be stopped, or stuck",
                "sudo systemctl restart usbmuxd, or end it by its pid",
            )
        case Trouble.FOREIGN:
            return f"whoever listens at {address} is no usbmux daemon: {server.error}", "check the address"
        case _:
            assert_never(trouble)


def _not_allowed(examination: Examination) -> tuple[str, str]:
    view, server = examination.view, examination.server
    me = user_name(view, view.account.uid)
    path = server.address.path if isinstance(server.address, UnixAddress) else ""
    try:
        status = os.stat(path)
    except OSError:
        return f"{me} may not enter the directory of {path}", f"ls -ld {os.path.dirname(path)}"
    owner, group = user_name(view, status.st_uid), group_name(view, status.st_gid)
    text = f"{me} may not connect to {path}: it is {owner}:{group}, mode {stat.S_IMODE(status.st_mode):04o}"
    if status.st_mode & 0o060 != 0o060:
        return text, f"run the program as {owner}, or let the daemon give its socket to a group"
    if is_member(view, me, status.st_gid):
        return f"{text}; {me} is in that group, but this session began before", f"log in again, or: newgrp {group}"
    return text, f"sudo usermod -aG {group} {me}, then log in again"
