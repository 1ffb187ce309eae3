"""Sends a line to the echo of a virtual phone with asyncio, and prints what comes back."""

import asyncio

from usbmux import AsyncClient


async def main() -> None:
    reader, writer = await AsyncClient().connect(None, 7)
    writer.write(b"hello\n")
    print((await reader.readline()).decode(), end="")
    writer.close()
    await writer.wait_closed()


asyncio.run(main())
