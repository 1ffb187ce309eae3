"""Word of phones that come, whatever becomes of the daemon meanwhile."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Never

from usbmux.client.aio import AsyncClient
from usbmux.client.device import DeviceAttached
from usbmux.errors import UsbmuxError

_log = logging.getLogger("usbmux.relay")

_FIRST_RETRY_S: Final = 0.1
_LONGEST_RETRY_S: Final = 1.0


async def watch_phones(
    client: AsyncClient, on_attached: Callable[[str], None], on_begun: Callable[[], Awaitable[None]] | None = None
) -> Never:
    """Watch for phones until cancelled; while the daemon is away it is tried again.

    Args:
        client: Where to ask.
        on_attached: Called with the UDID of each phone that is there when the watch begins, and that comes later.
        on_begun: Awaited before that each time when the watch has begun, so that no phone is missed after it.
    """
    # Not the client's own reconnecting: a phone that is there before and after a restart of the daemon would be no
    # news to it, but is to a caller who met the dead daemon.
    retry_s = _FIRST_RETRY_S
    while True:
        try:
            async with client.watch() as events:
                retry_s = _FIRST_RETRY_S
                if on_begun is not None:
                    await on_begun()
                async for event in events:
                    if isinstance(event, DeviceAttached):
                        on_attached(event.device.udid)
        except UsbmuxError as error:
            _log.debug("cannot watch for phones: %s", error)
        await asyncio.sleep(retry_s)
        retry_s = min(2 * retry_s, _LONGEST_RETRY_S)
