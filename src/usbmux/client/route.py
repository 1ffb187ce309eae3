"""The way to the lockdown of a phone, by way of the daemon."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from usbmux.errors import DeviceNotFoundError
from usbmux.lockdown.blocking import LockdownClient

if TYPE_CHECKING:
    import socket

    from usbmux.client.blocking import Client
    from usbmux.client.device import Device


class ClientRoute:
    """Implements `usbmux.lockdown.route.Route`.

    Args:
        client: Asks the daemon.
        device: A phone, its UDID or port as in `Client.device`, or None for the only one.
    """

    def __init__(self, client: Client, device: Device | str | None) -> None:
        self._client = client
        self._wanted = device if isinstance(device, str) else None
        # Not its device id: it has another one each time that it comes, and another phone may have it after a restart
        # of the daemon.
        self._udid = None if device is None or isinstance(device, str) else device.udid

    def udid(self) -> str:
        """See `Route`."""
        if self._udid is None:
            self._udid = self._client.device(self._wanted).udid
        return self._udid

    def connect(self, port: int) -> socket.socket:
        """See `Route`."""
        return self._client.connect(self.udid(), port)

    def buid(self) -> str:
        """See `Route`."""
        return self._client.buid()

    def read_pair_record(self) -> bytes:
        """See `Route`."""
        return self._client.read_pair_record(self.udid())

    def save_pair_record(self, data: bytes) -> None:
        """See `Route`."""
        udid = self.udid()
        device_id = None
        with suppress(DeviceNotFoundError):  # unplugged meanwhile; the record holds all the same
            device_id = self._client.device(udid).device_id
        self._client.save_pair_record(udid, data, device_id=device_id)

    def delete_pair_record(self) -> None:
        """See `Route`."""
        self._client.delete_pair_record(self.udid())


def lockdown_client(client: Client, device: Device | str | None, timeout_s: float | None) -> LockdownClient:
    """See `Client.lockdown`."""
    return LockdownClient(ClientRoute(client, device), timeout_s=timeout_s)
