"""What both shells say and need to know about the daemon's socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from usbmux.errors import DaemonUnavailableError, RequestTimeoutError

if TYPE_CHECKING:
    from usbmux.control.address import Address

REFUSALS = (OSError, ValueError, OverflowError)
"""How Python says that it cannot connect. All but the first: an address that nobody read with `parse_address`."""
QUEUE_FULL_DELAY_S = 0.01
"""Between two attempts at a Unix socket whose queue is full: a non-blocking connect fails there instead of waiting."""


def unix_family(address: Address) -> int:
    """Return AF_UNIX.

    Raises:
        DaemonUnavailableError: This system's Python has none.
    """
    family: int | None = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise DaemonUnavailableError(f"cannot use {address}: no Unix sockets on this system, give HOST:PORT instead")
    return family


def unreachable(address: Address, error: Exception) -> DaemonUnavailableError:
    """The error for a daemon that could not be connected to."""
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return DaemonUnavailableError(f"no usbmux daemon at {address}: {reason}")


def hung_up(address: Address) -> DaemonUnavailableError:
    """The error for a daemon that ended the connection too early."""
    return DaemonUnavailableError(f"the usbmux daemon at {address} hung up")


def timed_out(address: Address, timeout_s: float | None) -> RequestTimeoutError:
    """The error for a daemon that did not answer in time."""
    limit = "in time" if timeout_s is None else f"within {timeout_s:g} s"
    return RequestTimeoutError(f"the usbmux daemon at {address} did not answer {limit}")
