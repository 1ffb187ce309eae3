"""What systemd and a service tell each other: sockets handed over, readiness, signs of life.

See sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).
"""

import os
import socket
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Final

from usbmux.errors import ConfigurationError
from usbmux.values import frozen

PATIENCE_S: Final = 1.0
"""How long a word of ours waits for a manager that is busy; the kernel keeps few that were not read."""
_FIRST_DESCRIPTOR: Final = 3
_MICROSECONDS: Final = 1_000_000


@frozen
class HandedSocket:
    """A listening socket that the service manager has made."""

    name: str
    """FileDescriptorName= of the socket unit; the unit's name unless it was set."""
    sock: socket.socket


class ServiceManager:
    """The other end of the service's environment; silent where there is none.

    Args:
        environment: Read and relieved of the variables, which are not for the children of the service.

    Raises:
        ConfigurationError: What was handed over is no socket that listens.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self.sockets: Final = tuple(_take_sockets(environment))
        self._address: Final = environment.pop("NOTIFY_SOCKET", "")
        # Kept, so that there is a sign of life when no descriptor is left.
        self._sock: Final = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if self._address else None
        self.watchdog_s: Final = _take_watchdog(environment)
        """A sign of life is wanted more often than this; None: not at all."""

    def notify(self, *assignments: str) -> None:
        """Say something like ``READY=1``.

        A manager that is gone is none of the service's troubles, nor is one that has not read for `PATIENCE_S`.
        """
        self._say(assignments, waits=True)

    def show_life(self, *assignments: str) -> None:
        """Say that we are alive, and this besides; not if it would have to wait, for more such will follow."""
        self._say(("WATCHDOG=1", *assignments), waits=False)

    def close(self) -> None:
        """Say nothing more."""
        if self._sock is not None:
            self._sock.close()

    def _say(self, assignments: Sequence[str], *, waits: bool) -> None:
        if self._sock is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        if waits:
            self._sock.settimeout(PATIENCE_S)
        with suppress(OSError):
            self._sock.connect(address)  # anew: it may have been made anew
            self._sock.send("\n".join(assignments).encode(), 0 if waits else socket.MSG_DONTWAIT)
        if waits:
            self._sock.settimeout(None)


def count_handed(environment: Mapping[str, str]) -> int:
    """How many sockets the service manager has handed to this very process, and not to a child or parent of it."""
    pid, number = environment.get("LISTEN_PID"), environment.get("LISTEN_FDS", "")
    return int(number) if pid == str(os.getpid()) and number.isdecimal() else 0


def _take_sockets(environment: MutableMapping[str, str]) -> list[HandedSocket]:
    count = count_handed(environment)
    names = [environment.pop(f"LISTEN_{key}", "") for key in ("PID", "FDS", "FDNAMES")][-1]
    named = names.split(":") if names else []
    handed = []
    for index in range(count):
        sock = _listening(_FIRST_DESCRIPTOR + index)
        os.set_inheritable(sock.fileno(), False)
        sock.setblocking(False)
        handed.append(HandedSocket(named[index] if index < len(named) else "unknown", sock))
    return handed


def _listening(descriptor: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=descriptor)
        is_listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigurationError(f"descriptor {descriptor} of the service manager: {error.strerror}") from error
    if not is_listening:
        raise ConfigurationError(f"descriptor {descriptor} of the service manager is no socket that listens")
    return sock


def _take_watchdog(environment: MutableMapping[str, str]) -> float | None:
    microseconds, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
    if pid not in ("", str(os.getpid())) or not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return int(microseconds) / _MICROSECONDS
