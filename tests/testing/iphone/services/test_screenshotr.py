"""com.apple.mobile.screenshotr and the DeviceLink below it, over a stream in memory."""

import plistlib
import struct
import zlib

import pytest

from tests.testing.iphone.services.scene import Host, served
from usbmux.testing.iphone.services.png import encode
from usbmux.testing.iphone.services.screenshotr import HEIGHT, WIDTH, Screenshotr, draw_home_screen

REQUEST: list[object] = ["DLMessageProcessMessage", {"MessageType": "ScreenShotRequest"}]
CONSENT: list[object] = ["DLMessageVersionExchange", "DLVersionsOk", 300]


async def send(host: Host, elements: list[object], form: plistlib.PlistFormat = plistlib.FMT_XML) -> None:
    payload = plistlib.dumps(elements, fmt=form)
    await host.write(len(payload).to_bytes(4, "big") + payload)


async def receive(host: Host) -> list[object]:
    length = int.from_bytes(await host.readexactly(4), "big")
    elements: list[object] = plistlib.loads(await host.readexactly(length))
    return elements


async def shake_hands(host: Host) -> None:
    assert await receive(host) == ["DLMessageVersionExchange", 300, 0]
    await send(host, CONSENT)
    assert await receive(host) == ["DLMessageDeviceReady"]


def pixels(picture: bytes) -> tuple[int, int, bytes]:
    """Width, height and the bytes of a PNG file, each checksum looked at."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, start = {}, 8
    while start < len(picture):
        (length,) = struct.unpack_from(">I", picture, start)
        chunk = picture[start + 4 : start + 8 + length]
        assert struct.unpack_from(">I", picture, start + 8 + length) == (zlib.crc32(chunk),)
        chunks[chunk[:4]] = chunk[4:]
        start += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kind == [8, 2, 0, 0, 0]
    return width, height, zlib.decompress(chunks[b"IDAT"])


def test_rows_encoded_pixels_come_back() -> None:
    rows = [b"\xff\0\0\0\xff\0", b"\0\0\xff\x01\x02\x03"]
    assert pixels(encode(2, 2, rows)) == (2, 2, b"\0" + rows[0] + b"\0" + rows[1])


def test_home_screen_whole_and_small() -> None:
    picture = draw_home_screen()
    width, height, data = pixels(picture)
    assert (width, height, len(data)) == (WIDTH, HEIGHT, HEIGHT * (1 + 3 * WIDTH))
    assert len(set(data)) > 100
    assert len(picture) < 65536


@pytest.mark.asyncio
@pytest.mark.parametrize("form", [plistlib.FMT_XML, plistlib.FMT_BINARY])
async def test_screenshot_asked_for_picture_as_often_as_asked(form: plistlib.PlistFormat) -> None:
    pictures = iter([b"one", b"two"])
    async with served(Screenshotr(lambda: next(pictures))) as host:
        await shake_hands(host)
        for picture in (b"one", b"two"):
            await send(host, REQUEST, form)
            reply = {"MessageType": "ScreenShotReply", "ScreenShotData": picture}
            assert await receive(host) == ["DLMessageProcessMessage", reply]


@pytest.mark.asyncio
async def test_default_screenshot_is_the_home_screen() -> None:
    async with served(Screenshotr(), window=1024) as host:
        await shake_hands(host)
        await send(host, REQUEST)
        _, reply = await receive(host)
        assert reply == {"MessageType": "ScreenShotReply", "ScreenShotData": draw_home_screen()}


@pytest.mark.asyncio
async def test_host_disconnects_left() -> None:
    async with served(Screenshotr()) as host:
        await shake_hands(host)
        await send(host, ["DLMessagePing", "hello"])
        await send(host, ["DLMessageDisconnect", "___EmptyParameterString___"])
        assert await host.is_left()
    assert host.blames == []


@pytest.mark.asyncio
async def test_other_message_disconnected() -> None:
    async with served(Screenshotr()) as host:
        await shake_hands(host)
        await send(host, ["DLMessageProcessMessage", {"MessageType": "Dance"}])
        assert await receive(host) == ["DLMessageDisconnect", "___EmptyParameterString___"]
        assert await host.is_left()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "elements",
    [
        ["DLMessageVersionExchange", "DLVersionsMismatch"],
        ["DLMessageDeviceReady"],
        [],
        [5],
    ],
)
async def test_version_not_agreed_to_connection_ended(elements: list[object]) -> None:
    async with served(Screenshotr()) as host:
        await receive(host)
        await send(host, elements)
        assert await host.is_left()
    assert host.blames == ["the host does not agree to our version of DeviceLink"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("data", "blame"),
    [
        (bytes(4), "a message of 0 bytes"),
        (b"\xff\xff\xff\xff", "a message of 4294967295 bytes"),
        (b"\0\0\0\x04abcd", "not a property list"),
        (b"\0\0\0\x15<plist><dict/></plist", "not a property list"),
    ],
)
async def test_bytes_that_are_no_message_connection_ended(data: bytes, blame: str) -> None:
    async with served(Screenshotr()) as host:
        await receive(host)
        await host.write(data)
        assert await host.is_left()
    assert host.blames == [blame]


@pytest.mark.asyncio
@pytest.mark.parametrize("elements", [["DLMessageProcessMessage"], ["DLMessageProcessMessage", 5], ["DLCheese"]])
async def test_message_that_is_none_of_ours_connection_ended(elements: list[object]) -> None:
    async with served(Screenshotr()) as host:
        await shake_hands(host)
        await send(host, elements)
        assert await host.is_left()
    assert host.blames == ["no message of DeviceLink"]


@pytest.mark.asyncio
async def test_host_ends_in_the_middle_of_a_message_service_ends() -> None:
    async with served(Screenshotr()) as host:
        await shake_hands(host)
        await host.write(b"\0\0")
