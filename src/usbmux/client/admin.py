"""Looks inside a running daemon, through its admin socket; blocking, without threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usbmux.admin.forward import ForwardAddRequest, ForwardListRequest, ForwardRemoveRequest
from usbmux.admin.message import SUFFIX, CaptureFormat, Status
from usbmux.client.admin_connection import AdminConnection, CaptureConnection
from usbmux.client.operations import DEFAULT_TIMEOUT_S
from usbmux.control.address import UnixAddress
from usbmux.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usbmux.admin.forward import ForwardStatus, KeptForward
    from usbmux.control.address import Address


def admin_address(address: Address) -> UnixAddress:
    """Where a daemon that listens at this address has its admin socket, unless it was told otherwise.

    Raises:
        AddressError: Not beside a TCP address.
    """
    if not isinstance(address, UnixAddress):
        raise AddressError(f"{address} is no Unix socket, so the place of the daemon's admin socket must be given")
    return UnixAddress(address.path + SUFFIX)


class AdminClient:
    """Asks a daemon's admin socket. What may be raised: see `AdminConnection`.

    Args:
        address: Of the admin socket.
        timeout_s: The longest that a question may take; None for no limit.
    """

    def __init__(self, address: UnixAddress, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> None:
        self.address = address
        self._timeout_s = timeout_s

    def connect(self) -> AdminConnection:
        """Open a connection for several questions; the other methods use one of their own each time."""
        return AdminConnection(self.address, self._timeout_s)

    def status(self, *, detailed: bool = False) -> Status:
        """Return what the daemon is doing; see `AdminConnection.status`."""
        with self.connect() as connection:
            return connection.status(detailed=detailed)

    def kick(self, client: int) -> bool:
        """End a client of the daemon; see `AdminConnection.kick`."""
        with self.connect() as connection:
            return connection.kick(client)

    def capture(
        self, udid: str | None = None, capture_format: CaptureFormat = CaptureFormat.PCAPNG
    ) -> CaptureConnection:
        """Begin to capture what crosses between the daemon and phones.

        Args:
            udid: The phone's, as the daemon spells it; None for all phones, those that come later included.
            capture_format: How the packets are written down.
        """
        connection = self.connect()
        try:
            return connection.capture(udid, capture_format)
        except BaseException:
            connection.close()
            raise

    def add_forwards(self, forwards: Sequence[KeptForward]) -> tuple[ForwardStatus, ...]:
        """Have the daemon forward local ends to ports of phones, from now on and after every restart.

        Args:
            forwards: All of them or, if one is impossible, none.

        Returns:
            Them as they are kept.
        """
        with self.connect() as connection:
            return connection.ask_forwards(ForwardAddRequest(tuple(forwards)))

    def forwards(self) -> tuple[ForwardStatus, ...]:
        """Return the forwards that the daemon keeps, in the order in which they were added."""
        with self.connect() as connection:
            return connection.ask_forwards(ForwardListRequest())

    def remove_forwards(self, listen: Sequence[str]) -> tuple[ForwardStatus, ...]:
        """Have the daemon forward no more what comes in there.

        Args:
            listen: As `forwards` tells it; all of them or, if there is none such, none.

        Returns:
            Those that were removed.
        """
        with self.connect() as connection:
            return connection.ask_forwards(ForwardRemoveRequest(tuple(listen)))
