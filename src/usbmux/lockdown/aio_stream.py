"""One connection to lockdown or a service of a phone, with asyncio."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self, TypeVar, assert_never

from usbmux.errors import DeviceResetError, LocalProtocolError, LockdownError
from usbmux.lockdown.operations import BeginTls, Operation, Receive, Send, Step, stream_error
from usbmux.lockdown.plist_frame import MAX_LENGTH, PlistReader, encode
from usbmux.lockdown.tls import CHUNK_LENGTH, TlsSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping
    from types import TracebackType

    from usbmux.lockdown.pair_record import PairRecord
    from usbmux.lockdown.route import AsyncByteStream

T = TypeVar("T")


class SocketStream:
    """A non-blocking socket as an `AsyncByteStream`; owns it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._is_closed = False
        self._calls = 0
        """How many wait for the socket."""

    async def read(self, n: int) -> bytes:
        """See `AsyncByteStream`."""
        with self._call():
            return await asyncio.get_running_loop().sock_recv(self._sock, n)

    async def write(self, data: bytes | memoryview) -> None:
        """See `AsyncByteStream`."""
        with self._call():
            await asyncio.get_running_loop().sock_sendall(self._sock, data)

    def close(self) -> None:
        """See `AsyncByteStream`."""
        self._is_closed = True
        if self._calls:
            # It ends those calls, behind which the socket is closed. The loop would go on watching the number of a
            # descriptor that is closed before, though the next socket has it.
            with suppress(OSError):  # the daemon was faster
                self._sock.shutdown(socket.SHUT_RDWR)
        else:
            self._sock.close()

    @contextmanager
    def _call(self) -> Iterator[None]:
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            if self._is_closed and not self._calls:
                self._sock.close()


class AsyncStream:
    """Bytes or property lists, plain or inside TLS; for one task at a time.

    Every call may raise `DeviceResetError` if the phone has ended the connection, `RequestTimeoutError` if it did not
    answer in time, `RemoteProtocolError` if it broke TLS or the framing, and `NotPairedError` if it refuses this
    computer amid TLS. The connection is closed by every such error, and by a cancellation.

    Args:
        stream: What carries it, owned from now on.
        timeout_s: The longest that a call may take; None for no limit.
        max_length: Longest message that is received, in bytes.
    """

    def __init__(self, stream: AsyncByteStream, timeout_s: float | None, max_length: int = MAX_LENGTH) -> None:
        self.timeout_s = timeout_s
        self._max_length = max_length
        self._stream = stream
        self._tls: TlsSession | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_closed(self) -> bool:
        """Whether it can be used no more."""
        return self._is_closed

    def close(self) -> None:
        """End the connection. Idempotent."""
        self._is_closed = True
        self._stream.close()

    async def begin_tls(self, record: PairRecord) -> None:
        """Do the handshake of TLS; everything behind it is inside.

        Raises:
            NotPairedError: The phone refuses this computer, is not the one that was paired, or the record is of no use.
        """
        await self._guarded(self._begin_tls(record))

    async def read(self, n: int = CHUNK_LENGTH) -> bytes:
        """Wait for data and take at most `n` bytes; ``b""`` once the phone has ended and all was read."""
        return await self._guarded(self._read(n))

    async def write(self, data: bytes | memoryview) -> None:
        """Send `data`, waiting for the connection to take it."""
        await self._guarded(self._write(data))

    async def send_plist(self, properties: Mapping[str, object]) -> None:
        """Send a message.

        Raises:
            LocalProtocolError: A value that a property list cannot hold.
        """
        await self.write(encode(properties))

    async def receive_plist(self) -> Mapping[object, object]:
        """Wait for a message; its values may be of any type, see `usbmux.control.property_list.load`."""
        return await self._guarded(self._receive_plist())

    async def run(self, operation: Operation[T]) -> T:
        """Carry out an operation of `usbmux.lockdown.operations` and return its result.

        Raises:
            LockdownError: The phone refuses. The connection can be used on unless that ended TLS.
            LocalProtocolError: A value that a property list cannot hold; nothing was sent.
        """
        try:
            step = next(operation)
            while True:
                step = operation.send(await self._take(step))
        except StopIteration as finished:
            result: T = finished.value
            return result
        except (LockdownError, LocalProtocolError):
            raise
        except BaseException:
            self.close()
            raise

    async def _take(self, step: Step) -> Mapping[object, object]:
        match step:
            case Send(properties):
                await self.send_plist(properties)
            case Receive():
                return await self.receive_plist()
            case BeginTls(record):
                await self.begin_tls(record)
            case _:
                assert_never(step)
        return {}

    async def _guarded(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self.timeout_s):
                return await call
        except DeviceResetError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise stream_error(error, self.timeout_s) from error
        except BaseException:
            self.close()
            raise

    async def _receive_plist(self) -> Mapping[object, object]:
        reader = PlistReader(self._max_length)
        while data := await self._read(reader.bytes_needed):
            if (message := reader.receive_data(data)) is not None:
                return message
        raise DeviceResetError("the phone ended the connection instead of answering")

    async def _begin_tls(self, record: PairRecord) -> None:
        tls = TlsSession(record)
        try:
            while not tls.handshake():
                await self._flush(tls)
                tls.receive_data(await self._stream.read(CHUNK_LENGTH))
        finally:
            await self._flush(tls)  # an alert that says why, too
        self._tls = tls

    async def _read(self, n: int) -> bytes:
        if self._tls is None:
            return await self._stream.read(n)
        while (data := self._tls.read(n)) is None:
            await self._flush(self._tls)  # such as the answer to a key update
            self._tls.receive_data(await self._stream.read(CHUNK_LENGTH))
        return data

    async def _write(self, data: bytes | memoryview) -> None:
        if self._tls is None:
            await self._stream.write(data)
            return
        view = memoryview(data)
        for start in range(0, len(view), CHUNK_LENGTH):
            self._tls.write(view[start : start + CHUNK_LENGTH])
            try:
                await self._stream.write(self._tls.data_to_send())
            except ConnectionError:
                await self._read(1)  # the phone may have said why it ends TLS
                raise

    async def _flush(self, tls: TlsSession) -> None:
        """Send what TLS has to say; if nobody takes it, that shows when the answer is read."""
        with suppress(ConnectionError):
            await self._stream.write(tls.data_to_send())
