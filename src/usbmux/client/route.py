"""The way to the lockdown of a phone, by way of the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        self._device = device

    def udid(self) -> str:
        """See `Route`."""
        return self._found().udid

    def connect(self, port: int) -> socket.socket:
        """See `Route`."""
        return self._client.connect(self._found(), port)

    def buid(self) -> str:
        """See `Route`."""
        return self._client.buid()

    def read_pair_record(self) -> bytes:
        """See `Route`."""
        return self._client.read_pair_record(self._found().udid)

    def save_pair_record(self, data: bytes) -> None:
        """See `Route`."""
        device = self._found()
        self._client.save_pair_record(device.udid, data, device_id=device.device_id)

    def delete_pair_record(self) -> None:
        """See `Route`."""
        self._client.delete_pair_record(self._found().udid)

    def _found(self) -> Device:
        if self._device is None or isinstance(self._device, str):
            self._device = self._client.device(self._device)
        return self._device


def lockdown_client(client: Client, device: Device | str | None, timeout_s: float | None) -> LockdownClient:
    """See `Client.lockdown`."""
    return LockdownClient(ClientRoute(client, device), timeout_s=timeout_s)
