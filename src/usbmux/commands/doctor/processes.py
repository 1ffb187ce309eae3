"""Daemons of any make that run, and who holds a device node."""

import os
import re
from typing import Final

from usbmux.commands.doctor.system_view import Account, SystemView
from usbmux.commands.table import printable
from usbmux.values import frozen

_NAMES: Final = ("usbmuxd", "usbmux.commands.usbmuxd")
_INTERPRETER: Final = re.compile(r"python[0-9.]*")
_WITH_VALUE: Final = ("-W", "-X")
"""Options of Python whose value is the next word."""
_WITHOUT_USB: Final = ("--simulate", "--replay")
_WITH_USB: Final = "--usb"
_LONGEST: Final = 60


@frozen
class Process:
    """One that runs."""

    pid: int
    arguments: tuple[str, ...]
    account: Account

    def __str__(self) -> str:
        command = printable(" ".join(self.arguments))
        return f"pid {self.pid} ({command if len(command) <= _LONGEST else command[:_LONGEST] + '...'})"

    @property
    def is_script(self) -> bool:
        """Whether Python runs it."""
        return _INTERPRETER.fullmatch(os.path.basename(self.arguments[0])) is not None

    @property
    def is_daemon(self) -> bool:
        """Whether it is a usbmux daemon, by its name."""
        return self._program in _NAMES

    @property
    def uses_usb(self) -> bool:
        """Whether it wants the phones on the bus."""
        return _WITH_USB in self.arguments or not any(word.split("=")[0] in _WITHOUT_USB for word in self.arguments)

    @property
    def _program(self) -> str:
        """The name of what is run: of the script or the module, if Python runs it."""
        if not self.is_script:
            return os.path.basename(self.arguments[0])
        words = iter(self.arguments[1:])
        for word in words:
            if word == "-m":
                return next(words, "")
            if word in _WITH_VALUE:
                next(words, None)
            elif not word.startswith("-"):
                return os.path.basename(word)
        return ""


def process(view: SystemView, pid: int) -> Process | None:
    """The process of that number; None if there is none any more, or it is the kernel's."""
    arguments = tuple(filter(None, (view.text(f"/proc/{pid}/cmdline") or "").split("\0")))
    if not arguments:
        return None
    return Process(pid, arguments, _account(view.text(f"/proc/{pid}/status") or ""))


def daemons(view: SystemView) -> tuple[Process, ...]:
    """The usbmux daemons that run, ours and others."""
    running = (process(view, int(name)) for name in view.names("/proc") if name.isdecimal())
    return tuple(found for found in running if found is not None and found.is_daemon)


def holders(view: SystemView, path: str) -> tuple[Process, ...]:
    """Who has a file open; but for root, only processes of the same user are seen."""
    pids = [int(name) for name in view.names("/proc") if name.isdecimal()]
    holding = [
        pid
        for pid in pids
        if any(view.link(f"/proc/{pid}/fd/{name}") == path for name in view.names(f"/proc/{pid}/fd"))
    ]
    return tuple(found for found in (process(view, pid) for pid in holding) if found is not None)


def _account(status: str) -> Account:
    fields = dict(re.findall(r"^(Uid|Gid|Groups):[ \t]*(.*)$", status, re.MULTILINE))
    uids, gids = fields.get("Uid", "").split(), fields.get("Gid", "").split()
    groups = {int(number) for number in (*gids[1:2], *fields.get("Groups", "").split())}
    return Account(int(uids[1]) if len(uids) > 1 else -1, frozenset(groups))  # the second is the effective one
