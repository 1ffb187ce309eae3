from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from usbmux.client import operations
from usbmux.client.blocking_connection import BlockingConnection
from usbmux.client.endpoint import timed_out
from usbmux.client.operations import DEFAULT_TIMEOUT_S, Operation, client_identity
from usbmux.control.address import address_from_environment, parse_address
from usbmux.deadlines import deadline_after

if TYPE_CHECKING:
    import socket

    from usbmux.client.device import Device, Listener
    from usbmux.client.watch import Watch
    from usbmux.control.address import Address
    from usbmux.lockdown.blocking import LockdownClient

T = TypeVar("T")


class Client:
    """Asks the usbmux daemon, with blocking sockets; no thread, no event loop. `AsyncClient` is its twin.

    Every call uses a connection of its own, so a client may be shared by threads and needs no closing.
    Every call may raise `DaemonUnavailableError`, `RequestTimeoutError`, `RemoteProtocolError` and `RequestError`.

    Args:
        address: Where the daemon listens, in any spelling; None for USBMUXD_SOCKET_ADDRESS or the system's default.
        timeout_s: The longest that a call may take, connecting to the daemon included; None for no limit.
        program: The name under which `listeners` shows this client.

    Raises:
        AddressError: The address, or the variable's value, is no address.
    """

    def __init__(
        self,
        address: str | Address | None = None,
        *,
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
        program: str = "usbmux",
    ) -> None:
        if address is None:
            address = address_from_environment(os.environ)
        self.address: Address = parse_address(address) if isinstance(address, str) else address
        self._timeout_s = timeout_s
        self._identity = client_identity(program)

    def devices(self) -> list[Device]:
        """Return the attached phones."""
        return self._request(operations.list_devices())

    def device(self, udid: str | None = None) -> Device:
        """Return the phone that is meant, or the only one.

        Args:
            udid: All of its UDID or a prefix that fits one phone only; dashes and case do not matter. Or the port that
                it is plugged into, such as ``1-2.3``, if the daemon names ports.

        Raises:
            DeviceNotFoundError: No phone fits.
            AmbiguousDeviceError: Several phones fit.
        """
        return self._request(operations.find_device(udid))

    def connect(self, device: Device | int | str | None, port: int) -> socket.socket:
        """Connect to a TCP port of a phone.

        Args:
            device: A phone, its device id, its UDID or port as in `device`, or None for the only phone.
            port: 0 to 65535.

        Returns:
            A blocking socket without timeout that is the connection.

        Raises:
            DeviceNotFoundError: No phone fits.
            AmbiguousDeviceError: Several phones fit.
            PortRefusedError: Nothing listens on that port of the phone.
        """
        connection = self._perform(operations.connect(device, port))
        return connection.detach()

    def watch(self, *, reconnect: bool = False) -> Watch:
        """Watch phones come and go; those that are there already come first.

        Args:
            reconnect: Outlive the daemon: when it is back, only the differences are reported.
        """
        from usbmux.client.listen_attempt import ListenAttempt  # here, because most programs only ask or connect
        from usbmux.client.watch import Watch

        return Watch(lambda: ListenAttempt(self.address, self._identity, self._timeout_s), reconnect=reconnect)

    def buid(self) -> str:
        """Return the id under which this computer pairs with phones."""
        return self._request(operations.read_buid())

    def listeners(self) -> list[Listener]:
        """Return the programs that listen for device events."""
        return self._request(operations.list_listeners())

    def read_pair_record(self, udid: str) -> bytes:
        """Return the pair record of a phone, as it was saved.

        Raises:
            PairRecordNotFoundError: The daemon keeps none.
        """
        return self._request(operations.read_pair_record(udid))

    def save_pair_record(self, udid: str, data: bytes, *, device_id: int | None = None) -> None:
        """Store the pair record of a phone.

        Args:
            udid: The phone's, spelled as the daemon spells it.
            data: The record, opaque to the daemon.
            device_id: The attached phone's, so that listeners hear that it is paired.
        """
        self._request(operations.save_pair_record(udid, data, device_id))

    def delete_pair_record(self, udid: str) -> None:
        """Delete the pair record of a phone.

        Raises:
            PairRecordNotFoundError: The daemon keeps none.
        """
        self._request(operations.delete_pair_record(udid))

    def lockdown(self, device: Device | str | None = None) -> LockdownClient:
        """Ask a phone itself: what it is, to trust this computer, to start a service.

        Args:
            device: A phone, its UDID or port as in `device`, or None for the only phone.

        Returns:
            What asks it, with the timeout of this client for every answer; it connects when it is first called.
        """
        from usbmux.client.route import lockdown_client  # here, because most programs have no use for TLS

        return lockdown_client(self, device, self._timeout_s)

    def _request(self, operation: Operation[T]) -> T:
        connection, result = self._run(operation)
        connection.close()
        return result

    def _perform(self, operation: Operation[object]) -> BlockingConnection:
        connection, _ = self._run(operation)
        return connection

    def _run(self, operation: Operation[T]) -> tuple[BlockingConnection, T]:
        deadline = deadline_after(self._timeout_s)
        try:
            connection = BlockingConnection.open(self.address, self._identity, deadline)
            try:
                return connection, connection.run(operation, deadline)
            except BaseException:
                connection.close()
                raise
        except TimeoutError as error:
            raise timed_out(self.address, self._timeout_s) from error
