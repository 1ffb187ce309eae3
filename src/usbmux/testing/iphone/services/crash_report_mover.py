"""com.apple.crashreportmover: brings reports of crashes to where com.apple.crashreportcopymobile has them."""

from typing import Final

from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.services.context import ServiceContext

DONE: Final = b"ping\0"
"""What a host waits for before it looks at the reports."""


async def crash_report_mover(stream: ByteStream, phone: ServiceContext) -> None:
    """Say that it is done: the reports of this phone never are elsewhere."""
    await stream.write(DONE)
