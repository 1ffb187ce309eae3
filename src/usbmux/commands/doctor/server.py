"""Who answers at the daemon's address, and what he tells."""

import errno
import os
import stat
from dataclasses import replace
from enum import Enum
from typing import Final

from usbmux.admin.message import PhoneStatus
from usbmux.client.admin import AdminClient, admin_address
from usbmux.client.blocking import Client
from usbmux.client.blocking_connection import open_socket
from usbmux.client.device import Device
from usbmux.commands.doctor.processes import Process, daemons, process
from usbmux.commands.doctor.system_view import SystemView
from usbmux.control.address import Address, UnixAddress
from usbmux.daemon.peer import peer_of
from usbmux.deadlines import deadline_after
from usbmux.errors import DaemonUnavailableError, RequestError, RequestTimeoutError, UsbmuxError
from usbmux.values import frozen

PATIENCE_S: Final = 5.0
"""For each answer."""
_NO_RECORD_ID: Final = "usbmux-doctor"
"""No phone has such a UDID: our daemon judges ids by their shape (C43), others look for the file."""


class Trouble(Enum):
    """Why nobody can be asked."""

    MISSING = "missing"
    NO_SOCKET = "no socket"
    """Something else lies in its place."""
    NOT_ALLOWED = "not allowed"
    DESERTED = "deserted"
    """Nobody listens."""
    UNREACHABLE = "unreachable"
    """For another reason."""
    SILENT = "silent"
    FOREIGN = "foreign"
    """Whoever answers is no usbmux daemon."""


class Make(Enum):
    """Whose daemon it is."""

    OURS = "usbmuxd of usbmux"
    ANOTHER = "another usbmuxd"
    APPLES = "Apple's usbmuxd"
    UNKNOWN = "a usbmux daemon"


@frozen
class Server:
    """What was found at the address."""

    address: Address
    trouble: Trouble | None = None
    error: str = ""
    """The trouble in words."""
    make: Make = Make.UNKNOWN
    version: str = ""
    process: Process | None = None
    devices: tuple[Device, ...] = ()
    """The phones that it lists."""
    phones: tuple[PhoneStatus, ...] | None = None
    """What it does with each phone; None if we are not told."""
    is_secretive: bool = False
    """Whether it would tell root."""


def examine_server(view: SystemView, address: Address) -> Server:
    """Ask whoever is at the address."""
    client = Client(address, timeout_s=PATIENCE_S)
    server = Server(address)
    try:
        server = replace(server, devices=tuple(client.devices()))
    except UsbmuxError as error:
        return replace(server, trouble=_trouble(address, error), error=str(error))
    server = replace(server, process=_process(view, address))
    try:
        status = AdminClient(admin_address(address), timeout_s=PATIENCE_S).status()
    except UsbmuxError as error:
        if isinstance(error.__cause__, DaemonUnavailableError):
            return replace(server, make=Make.OURS, is_secretive=True)
        return replace(server, make=_make(view, client, server.process))
    return replace(server, make=Make.OURS, version=status.version, phones=status.phones)


def _trouble(address: Address, error: UsbmuxError) -> Trouble:
    match error, error.__cause__:
        case RequestTimeoutError(), _:
            return Trouble.SILENT
        case DaemonUnavailableError(), PermissionError():
            return Trouble.NOT_ALLOWED
        case DaemonUnavailableError(), FileNotFoundError():
            return Trouble.MISSING
        case DaemonUnavailableError(), ConnectionRefusedError():
            return Trouble.DESERTED if _is_socket(address) else Trouble.NO_SOCKET
        case DaemonUnavailableError(), OSError():
            return Trouble.UNREACHABLE
        case _:
            return Trouble.FOREIGN


def _is_socket(address: Address) -> bool:
    if not isinstance(address, UnixAddress):
        return True
    try:
        return stat.S_ISSOCK(os.stat(address.path).st_mode)
    except OSError:
        return True  # it was one a moment ago


def _process(view: SystemView, address: Address) -> Process | None:
    """Who listens: the one that the kernel names or, where that is a service manager, the only daemon that runs."""
    try:
        with open_socket(address, deadline_after(PATIENCE_S)) as stream:
            pid = peer_of(stream).pid
    except (UsbmuxError, OSError):
        return None
    found = process(view, pid) if pid else None
    if found is not None and found.is_daemon:
        return found
    running = daemons(view)
    return running[0] if pid == 1 and len(running) == 1 else None


def _make(view: SystemView, client: Client, found: Process | None) -> Make:
    if found is not None:
        return Make.OURS if found.is_script else Make.ANOTHER
    try:
        client.read_pair_record(_NO_RECORD_ID)
    except RequestError as error:
        if error.result == errno.EINVAL:
            return Make.OURS
    except UsbmuxError:
        return Make.UNKNOWN
    return Make.APPLES if view.platform in ("darwin", "win32") else Make.UNKNOWN
