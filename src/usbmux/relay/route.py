"""From an end on this computer to a port of a phone."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from usbmux.client.device import Device
from usbmux.client.selection import select_device
from usbmux.control.address import Address, TcpAddress, UnixAddress
from usbmux.values import frozen

LOOPBACK: Final = ("127.0.0.1",)


@dataclass(frozen=True, slots=True, eq=False)
class HandedEnd:
    """A listening socket that somebody else has made, the service manager for one. The forwarder closes it."""

    name: str
    sock: socket.socket


PhoneSelect = Callable[[Sequence[Device], str | None], Device]
"""Chooses the phone that was named, or one for None; raises `DeviceNotFoundError` or `AmbiguousDeviceError`."""
LocalEnd = TcpAddress | UnixAddress | HandedEnd
"""Where to listen: at every address that a TCP host's name has, or at a socket file that only we may open."""


@frozen
class Route:
    """Where connections come from, and where they lead to."""

    local: LocalEnd
    device_port: int
    """1 to 65535."""
    udid: str | None = None
    """The phone, also by a unique beginning of its UDID; None for the only phone."""
    place: int | None = None
    """Leads to the phone that has this place of the forwarder's `PhoneRow`; then `udid` means nothing."""
    select: PhoneSelect = select_device
    """How the phone is found among those that are there."""


@frozen
class ListeningPort:
    """One bound local end and where it leads."""

    bound: Address
    """A TCP address is numeric, and has the port as bound, also where 0 was asked for."""
    route: Route

    def __str__(self) -> str:
        return str(self.bound) if isinstance(self.bound, TcpAddress) else self.bound.path

    @property
    def address(self) -> str:
        """Numeric IPv4 or IPv6 address, or the path of a Unix socket."""
        return self.bound.host if isinstance(self.bound, TcpAddress) else self.bound.path

    @property
    def port(self) -> int:
        """0 for a Unix socket."""
        return self.bound.port if isinstance(self.bound, TcpAddress) else 0

    @property
    def device_port(self) -> int:
        """Of the phone."""
        return self.route.device_port
