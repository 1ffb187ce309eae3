"""Where and for whom the daemon listens."""

import socket

from usbmux.control.address import Address, UnixAddress
from usbmux.daemon.policy import Permission
from usbmux.tls_front import TlsSettings
from usbmux.values import frozen


@frozen
class ListenSettings:
    """One listening socket."""

    address: Address
    mode: int = 0o660
    """Of a Unix socket's file: who may connect."""
    group: int | None = None
    """Of a Unix socket's file; None: the daemon's own."""
    permission: Permission | None = None
    """The most that is seen through it; None: no limit of its own."""
    tls: TlsSettings | None = None
    """For TCP only."""
    handed: socket.socket | None = None
    """Somebody else has made it and listens, and keeps it when we end."""

    @property
    def has_file(self) -> bool:
        """Whether it is in the file system, where a mode keeps others out; Linux has Unix sockets that are not."""
        is_abstract = self.handed is not None and isinstance(self.handed.getsockname(), bytes)
        return isinstance(self.address, UnixAddress) and not is_abstract
