"""The way to the lockdown of a phone, by way of the daemon, with asyncio."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from usbmux.errors import DeviceNotFoundError
from usbmux.lockdown.aio import AsyncLockdownClient
from usbmux.lockdown.aio_stream import SocketStream

if TYPE_CHECKING:
    from usbmux.client.aio import AsyncClient
    from usbmux.client.device import Device


class AsyncClientRoute:
    """Implements `usbmux.lockdown.route.AsyncRoute`.

    Args:
        client: Asks the daemon.
        device: A phone, its UDID or port as in `AsyncClient.device`, or None for the only one.
    """

    def __init__(self, client: AsyncClient, device: Device | str | None) -> None:
        self._client = client
        self._wanted = device if isinstance(device, str) else None
        # Not its device id: it has another one each time that it comes, and another phone may have it after a restart
        # of the daemon.
        self._udid = None if device is None or isinstance(device, str) else device.udid

    async def udid(self) -> str:
        """See `Route`."""
        if self._udid is None:
            self._udid = (await self._client.device(self._wanted)).udid
        return self._udid

    async def connect(self, port: int) -> SocketStream:
        """See `Route`."""
        return SocketStream(await self._client.connect_socket(await self.udid(), port))

    async def buid(self) -> str:
        """See `Route`."""
        return await self._client.buid()

    async def read_pair_record(self) -> bytes:
        """See `Route`."""
        return await self._client.read_pair_record(await self.udid())

    async def save_pair_record(self, data: bytes) -> None:
        """See `Route`."""
        udid = await self.udid()
        device_id = None
        with suppress(DeviceNotFoundError):  # unplugged meanwhile; the record holds all the same
            device_id = (await self._client.device(udid)).device_id
        await self._client.save_pair_record(udid, data, device_id=device_id)

    async def delete_pair_record(self) -> None:
        """See `Route`."""
        await self._client.delete_pair_record(await self.udid())


def lockdown_client(client: AsyncClient, device: Device | str | None, timeout_s: float | None) -> AsyncLockdownClient:
    """See `AsyncClient.lockdown`."""
    return AsyncLockdownClient(AsyncClientRoute(client, device), timeout_s=timeout_s)
