"""The way to the lockdown of a phone, by way of the daemon, with asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        self._device = device

    async def udid(self) -> str:
        """See `Route`."""
        return (await self._found()).udid

    async def connect(self, port: int) -> SocketStream:
        """See `Route`."""
        return SocketStream(await self._client.connect_socket(await self._found(), port))

    async def buid(self) -> str:
        """See `Route`."""
        return await self._client.buid()

    async def read_pair_record(self) -> bytes:
        """See `Route`."""
        return await self._client.read_pair_record((await self._found()).udid)

    async def save_pair_record(self, data: bytes) -> None:
        """See `Route`."""
        device = await self._found()
        await self._client.save_pair_record(device.udid, data, device_id=device.device_id)

    async def delete_pair_record(self) -> None:
        """See `Route`."""
        await self._client.delete_pair_record((await self._found()).udid)

    async def _found(self) -> Device:
        if self._device is None or isinstance(self._device, str):
            self._device = await self._client.device(self._device)
        return self._device


def lockdown_client(client: AsyncClient, device: Device | str | None, timeout_s: float | None) -> AsyncLockdownClient:
    """See `AsyncClient.lockdown`."""
    return AsyncLockdownClient(AsyncClientRoute(client, device), timeout_s=timeout_s)
