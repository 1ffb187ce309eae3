"""Messages of lockdown and its like, on the streams of services."""

from collections.abc import Mapping

from usbmux.errors import RemoteProtocolError
from usbmux.lockdown.plist_frame import MAX_LENGTH, PlistReader, encode
from usbmux.testing.iphone.byte_stream import ByteStream


async def read_plist(stream: ByteStream, max_length: int = MAX_LENGTH) -> Mapping[object, object] | None:
    """Wait for a message; None if the stream ends before it begins.

    Raises:
        RemoteProtocolError: It ends in the middle, or is not what `PlistReader` accepts.
    """
    reader = PlistReader(max_length)
    while data := await stream.read(reader.bytes_needed):
        if (message := reader.receive_data(data)) is not None:
            return message
    if not reader.is_idle:
        raise RemoteProtocolError(f"the stream ended {reader.bytes_needed} bytes short of a property list")
    return None


async def write_plist(stream: ByteStream, properties: Mapping[str, object], *, binary: bool = False) -> None:
    """Send a message.

    Raises:
        LocalProtocolError: A value that a property list cannot hold.
        ConnectionResetError: The stream was over before.
    """
    await stream.write(encode(properties, binary=binary))
