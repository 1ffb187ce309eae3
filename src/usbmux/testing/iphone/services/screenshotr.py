"""com.apple.mobile.screenshotr: a picture of the screen."""

from collections.abc import Callable, Iterator
from typing import Final

from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.services import png
from usbmux.testing.iphone.services.context import ServiceContext
from usbmux.testing.iphone.services.device_link import DeviceLink
from usbmux.values import frozen

WIDTH: Final = 390
HEIGHT: Final = 844
_STATUS_BAR: Final = 47
_DOCK: Final = range(730, 814)
_WHITE: Final = b"\xff\xff\xff"


def draw_home_screen() -> bytes:
    """The PNG file of an empty home screen, 390 by 844: always the same."""
    return png.encode(WIDTH, HEIGHT, _rows())


@frozen
class Screenshotr:
    """Answers every request with a picture, until the host disconnects or asks for something else."""

    take: Callable[[], bytes] = draw_home_screen
    """Makes the picture: a PNG or TIFF file."""

    async def __call__(self, stream: ByteStream, phone: ServiceContext) -> None:
        """Serve one connection."""
        link = DeviceLink(stream)
        await link.shake_hands()
        while (message := await link.receive()) is not None:
            if message.get("MessageType") != "ScreenShotRequest":
                await link.disconnect()
                return
            await link.send({"MessageType": "ScreenShotReply", "ScreenShotData": self.take()})


def _rows() -> Iterator[bytes]:
    for y in range(HEIGHT):
        shade = y * 128 // HEIGHT
        background = bytes((24 + shade // 2, 48 + shade // 3, 144 + shade // 2))
        if y < _STATUS_BAR:
            yield bytes(3 * WIDTH)
        elif y in _DOCK:
            yield background * 20 + _WHITE * (WIDTH - 40) + background * 20
        else:
            yield background * WIDTH
