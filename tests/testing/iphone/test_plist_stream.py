"""Property lists on a stream."""

import pytest

from tests.testing.iphone.streams import ScriptedStream
from usbmux.errors import RemoteProtocolError
from usbmux.lockdown.plist_frame import encode
from usbmux.testing.iphone.plist_stream import read_plist, write_plist


@pytest.mark.asyncio
async def test_read_plist_leaves_what_follows_the_message() -> None:
    message = encode({"a": 1})
    stream = ScriptedStream(message[:3], message[3:] + b"\x16\x03\x01")
    assert await read_plist(stream) == {"a": 1}
    assert await stream.read() == b"\x16\x03\x01"


@pytest.mark.asyncio
async def test_read_plist_at_the_end_of_the_stream_returns_none() -> None:
    assert await read_plist(ScriptedStream()) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("cut", [1, 4, 20])
async def test_read_plist_cut_in_a_message_raises(cut: int) -> None:
    with pytest.raises(RemoteProtocolError, match="short"):
        await read_plist(ScriptedStream(encode({"a": 1})[:cut]))


@pytest.mark.asyncio
async def test_write_plist_sends_what_read_plist_reads() -> None:
    stream = ScriptedStream()
    await write_plist(stream, {"a": [1, 2]}, binary=True)
    assert stream.written[4:12] == b"bplist00"
    assert await read_plist(ScriptedStream(bytes(stream.written))) == {"a": [1, 2]}
