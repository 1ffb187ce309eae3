"""DeviceLink: property lists that are arrays, the first element of which names the message."""

from collections.abc import Sequence
from typing import Final

from usbmux.control.property_list import dump, load_array
from usbmux.errors import RemoteProtocolError
from usbmux.lockdown.plist_frame import HEADER_LENGTH, MAX_LENGTH
from usbmux.testing.iphone.byte_stream import ByteStream

_VERSION: Final = (300, 0)
_NO_TEXT: Final = "___EmptyParameterString___"


class DeviceLink:
    """The device's end of one connection."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    async def shake_hands(self) -> None:
        """Offer our version, wait for the host's consent, say that we are ready.

        Raises:
            RemoteProtocolError: The host does not consent.
            IncompleteReadError: The host ended.
        """
        await self._send("DLMessageVersionExchange", *_VERSION)
        match await self._receive():
            case ["DLMessageVersionExchange", "DLVersionsOk", *_]:
                await self._send("DLMessageDeviceReady")
            case _:
                raise RemoteProtocolError("the host does not agree to our version of DeviceLink")

    async def receive(self) -> dict[object, object] | None:
        """Wait for a message that is for the service; None once the host has disconnected.

        Raises:
            RemoteProtocolError: What came is no message of DeviceLink.
            IncompleteReadError: The host ended.
        """
        while True:
            match await self._receive():
                case ["DLMessageProcessMessage", dict() as message]:
                    return message
                case ["DLMessagePing", *_]:
                    pass
                case ["DLMessageDisconnect", *_]:
                    return None
                case _:
                    raise RemoteProtocolError("no message of DeviceLink")

    async def send(self, message: dict[str, object]) -> None:
        """Send a message of the service.

        Raises:
            ConnectionResetError: The connection was over before.
        """
        await self._send("DLMessageProcessMessage", message)

    async def disconnect(self) -> None:
        """Say that nothing more comes.

        Raises:
            ConnectionResetError: The connection was over before.
        """
        await self._send("DLMessageDisconnect", _NO_TEXT)

    async def _send(self, *elements: object) -> None:
        payload = dump(elements, binary=True)
        await self._stream.write(len(payload).to_bytes(HEADER_LENGTH) + payload)

    async def _receive(self) -> Sequence[object]:
        length = int.from_bytes(await self._stream.readexactly(HEADER_LENGTH))
        if not 0 < length <= MAX_LENGTH:
            raise RemoteProtocolError(f"a message of {length} bytes")
        return load_array(await self._stream.readexactly(length))
