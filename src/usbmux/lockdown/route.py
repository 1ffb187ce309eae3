"""The way to one phone, and to what its computer keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import socket


class Route(Protocol):
    """Blocking; errors are those of `usbmux.Client`."""

    def udid(self) -> str:
        """Which phone, as the daemon spells it."""

    def connect(self, port: int) -> socket.socket:
        """A new connection to a port of the phone: a blocking socket."""

    def buid(self) -> str:
        """The id under which this computer pairs."""

    def read_pair_record(self) -> bytes:
        """The pair record of the phone, as it was saved.

        Raises:
            PairRecordNotFoundError: There is none.
        """

    def save_pair_record(self, data: bytes) -> None:
        """Keep a pair record, and tell those who listen that the phone is paired."""

    def delete_pair_record(self) -> None:
        """Keep it no longer.

        Raises:
            PairRecordNotFoundError: There is none.
        """


class AsyncByteStream(Protocol):
    """A connection to a port of a phone. What was not there any more raises ConnectionError or `DeviceResetError`."""

    async def read(self, n: int) -> bytes:
        """Wait for data and take at most `n` bytes; ``b""`` once the phone has ended and all was read."""

    async def write(self, data: bytes | memoryview) -> None:
        """Send `data`, waiting for the connection to take it."""

    def close(self) -> None:
        """End the connection, and with it the calls of other tasks that wait for it. Idempotent."""


class AsyncRoute(Protocol):
    """With asyncio; otherwise as `Route`."""

    async def udid(self) -> str:
        """See `Route`."""

    async def connect(self, port: int) -> AsyncByteStream:
        """See `Route`."""

    async def buid(self) -> str:
        """See `Route`."""

    async def read_pair_record(self) -> bytes:
        """See `Route`."""

    async def save_pair_record(self, data: bytes) -> None:
        """See `Route`."""

    async def delete_pair_record(self) -> None:
        """See `Route`."""
