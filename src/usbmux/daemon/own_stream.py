"""A connection to a phone that the daemon itself has, without a client."""

import asyncio
from typing import Final, Self

from usbmux.control.message import ResultCode
from usbmux.daemon.device_link import DeviceLink
from usbmux.daemon.device_stream import DeviceStream
from usbmux.errors import DeviceResetError, PortRefusedError
from usbmux.mux.events import CloseCause


class OwnStream:
    """Implements `StreamHandler`, and `usbmux.lockdown.route.AsyncByteStream` for one task.

    What was not read is not acknowledged, so it waits here for at most one window of bytes.

    Args:
        link: Of the phone.
        port: Of the phone.

    Raises:
        LocalProtocolError: The phone is not ready, or no source port is free.
    """

    def __init__(self, link: DeviceLink, port: int) -> None:
        self._received = bytearray()
        self._end: str | None = None
        """Why it is over; None while it is not."""
        self._is_established = False
        self._is_refused = False
        self._changed: Final = asyncio.Event()
        self._stream: Final = DeviceStream(link, port, self)

    @classmethod
    async def open(cls, link: DeviceLink, port: int) -> Self:
        """Connect to a port of the phone.

        Raises:
            LocalProtocolError: The phone is not ready, or no source port is free.
            PortRefusedError: Nothing listens there.
            DeviceResetError: The phone does not answer in time, or is gone.
        """
        stream = cls(link, port)
        try:
            while not stream._is_established:
                stream._check()
                await stream._change()
        except BaseException:
            stream.close()
            raise
        return stream

    async def read(self, n: int) -> bytes:
        """See `AsyncByteStream`."""
        while not self._received and self._end is None:
            await self._change()
        data = bytes(self._received[:n])
        del self._received[:n]
        if data and self._end is None:
            self._stream.acknowledge(len(data))
        return data

    async def write(self, data: bytes | memoryview) -> None:
        """See `AsyncByteStream`."""
        view = memoryview(data)
        while view:
            self._check()
            if room := self._stream.connection.send_room:
                self._stream.send(bytes(view[:room]))
                view = view[room:]
            else:
                await self._change()

    def close(self) -> None:
        """See `AsyncByteStream`. What was written still reaches the phone."""
        if self._end is None:
            self._end = "closed by us"
            self._received.clear()
            self._stream.close()
            self._changed.set()

    # StreamHandler

    def stream_established(self) -> None:
        """See `StreamHandler`."""
        self._is_established = True
        self._changed.set()

    def stream_data_received(self, pieces: list[memoryview | bytes]) -> int:
        """See `StreamHandler`; it is acknowledged as it is read."""
        for piece in pieces:
            self._received += piece
        self._changed.set()
        return 0

    def stream_room_opened(self) -> None:
        """See `StreamHandler`."""
        self._changed.set()

    def stream_turn_came(self) -> None:
        """See `StreamHandler`."""
        raise AssertionError("a turn without an offer")

    def stream_closed(self, cause: CloseCause, text: str) -> None:
        """See `StreamHandler`."""
        if self._end is None:
            self._end = f"{cause.name.lower()} {text}".rstrip()
            self._is_refused = cause is CloseCause.REFUSED
        self._changed.set()

    # Inside

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _check(self) -> None:
        if self._is_refused:
            raise PortRefusedError(ResultCode.CONNECTION_REFUSED, "the phone refused the connection")
        if self._end is not None:
            raise DeviceResetError(f"the phone ended the connection: {self._end}")
