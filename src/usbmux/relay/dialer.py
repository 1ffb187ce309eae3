"""Connections to ports of phones, wherever and whenever they are plugged in."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from usbmux.client.aio import AsyncClient
from usbmux.client.selection import select_device
from usbmux.errors import DaemonUnavailableError, DeviceNotFoundError
from usbmux.relay.phone_watch import watch_phones
from usbmux.relay.route import PhoneSelect

_log = logging.getLogger("usbmux.relay")


class Dialer:
    """Connects to phones; if one or the daemon is away, waits for it.

    Nothing is remembered between calls: a phone is looked up anew each time, because its number changes with every
    replug. While at least one call waits, one listening connection to the daemon is open.

    Args:
        client: Where to ask.
        wait_s: How long one call waits for the phone; 0 does not wait.
    """

    def __init__(self, client: AsyncClient, *, wait_s: float) -> None:
        self._client = client
        self._wait_s = wait_s
        self._news = asyncio.Event()
        self._waiting_count = 0
        self._watch_task: asyncio.Task[None] | None = None

    async def dial(self, udid: str | None, port: int, select: PhoneSelect = select_device) -> socket.socket:
        """Return a non-blocking socket that leads to the port of the phone, or of the only one for None.

        Args:
            udid: All of it, or a unique beginning.
            port: Of the phone.
            select: How the phone is found among those that are there.

        Raises:
            DeviceNotFoundError, DaemonUnavailableError: It did not come in time.
            UsbmuxError, OSError: It cannot be done, and waiting would not help.
        """
        try:
            return await self._try(udid, port, select)
        except (DeviceNotFoundError, DaemonUnavailableError) as error:
            if self._wait_s <= 0:
                raise
            _log.info("%s; waiting up to %g s", error, self._wait_s)
        async with self._watching():
            return await self._dial_when_news(udid, port, select)

    async def _try(self, udid: str | None, port: int, select: PhoneSelect) -> socket.socket:
        if select is select_device:  # which the client does itself, on the connection that becomes the stream
            return await self._client.connect_socket(udid, port)
        return await self._client.connect_socket(select(await self._client.devices(), udid), port)

    async def _dial_when_news(self, udid: str | None, port: int, select: PhoneSelect) -> socket.socket:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._wait_s
        while True:
            # Taken before the attempt, so that what happens during the attempt is not missed.
            news = self._news
            try:
                return await self._try(udid, port, select)
            except (DeviceNotFoundError, DaemonUnavailableError):
                try:
                    await asyncio.wait_for(news.wait(), deadline - loop.time())
                    continue
                except TimeoutError:
                    pass
                raise

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        self._waiting_count += 1
        if self._watch_task is None:
            watch = watch_phones(self._client, self._look_again)
            self._watch_task = asyncio.create_task(watch, name="watch for phones")
        try:
            yield
        finally:
            self._waiting_count -= 1
            if self._waiting_count == 0:
                self._watch_task.cancel()
                self._watch_task = None

    def _look_again(self, _udid: str) -> None:
        self._news.set()
        self._news = asyncio.Event()
