"""com.apple.mobile.heartbeat: whether the host is still there."""

import asyncio

from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.plist_stream import read_plist, write_plist
from usbmux.testing.iphone.services.context import ServiceContext
from usbmux.values import frozen


@frozen
class Heartbeat:
    """Calls the host and waits for its answer, again and again; one that does not answer in time is left."""

    interval_s: float = 10
    """From an answer to the next call."""
    patience_s: float = 30
    """How long the host may take to answer."""

    async def __call__(self, stream: ByteStream, phone: ServiceContext) -> None:
        """Serve one connection."""
        call = {"Command": "Marco", "Interval": max(1, round(self.interval_s))}
        while True:
            await write_plist(stream, call)
            try:
                async with asyncio.timeout(self.patience_s):
                    answer = await read_plist(stream)
            except TimeoutError:
                await write_plist(stream, {"Command": "SleepyTime"})
                return
            if answer is None or answer.get("Command") != "Polo":
                return
            await asyncio.sleep(self.interval_s)
