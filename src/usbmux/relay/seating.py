"""Phones that come are given places in a `PhoneRow`."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from usbmux.client.aio import AsyncClient
from usbmux.control.message import ResultCode
from usbmux.errors import DeviceNotFoundError, UsbmuxError
from usbmux.relay.phone_row import PhoneRow
from usbmux.relay.phone_watch import watch_phones


class Seating:
    """Watches for phones. Those that are there at once get their places in the order of their UDIDs.

    Args:
        client: Where to ask.
        row: Who has which place.
        wait_s: How long a connection waits until its place is given; 0 does not wait.
        on_seated: Called with each place that is given to a phone that comes, and the UDID.
    """

    def __init__(
        self, client: AsyncClient, row: PhoneRow, *, wait_s: float, on_seated: Callable[[int, str], None]
    ) -> None:
        self._client: Final = client
        self._row: Final = row
        self._wait_s: Final = wait_s
        self._on_seated: Final = on_seated
        self._news = asyncio.Event()

    async def begin(self) -> None:
        """Give places to the phones that are there, if the daemon is; nobody is called for these."""
        with suppress(UsbmuxError):
            self._row.seen(await self._udids())

    async def run(self) -> None:
        """Give places to those that come, for ever."""
        await watch_phones(self._client, lambda udid: self._seat([udid]), self._seat_all)

    async def udid(self, place: int) -> str:
        """Whose place that is; waits for it.

        Raises:
            DeviceNotFoundError: It was not given in time.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                while (udid := self._row.udid(place)) is None:
                    await self._news.wait()
        except TimeoutError as error:
            raise DeviceNotFoundError(ResultCode.BAD_DEVICE, "no phone has come for this port") from error
        return udid

    async def _seat_all(self) -> None:
        """Before the daemon tells of them, which it does in the order in which they came."""
        self._seat(await self._udids())

    async def _udids(self) -> list[str]:
        return sorted(device.udid for device in await self._client.devices())

    def _seat(self, udids: Iterable[str]) -> None:
        for place in self._row.seen(udids):
            udid = self._row.udid(place)
            assert udid is not None
            self._on_seated(place, udid)
        news, self._news = self._news, asyncio.Event()
        news.set()
