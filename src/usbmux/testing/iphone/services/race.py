"""Two directions of one connection, served at once."""

import asyncio
from collections.abc import Coroutine

from usbmux.testing.iphone.byte_stream import ByteStream


async def until_one_ends(*works: Coroutine[object, object, None]) -> None:
    """Run all of them until the first has ended, then cancel the others; what one of them raised comes out here."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()


async def read_to_end(stream: ByteStream) -> None:
    """Ignore what the host says until it ends."""
    while await stream.read():
        pass
