"""One connection to lockdown or a service of a phone, with a blocking socket."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self, TypeVar, assert_never

from usbmux.deadlines import deadline_after, set_deadline
from usbmux.errors import DeviceResetError, LocalProtocolError, LockdownError
from usbmux.lockdown.operations import BeginTls, Operation, Receive, Send, Step, stream_error
from usbmux.lockdown.plist_frame import MAX_LENGTH, PlistReader, encode
from usbmux.lockdown.tls import CHUNK_LENGTH, TlsSession

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from usbmux.lockdown.pair_record import PairRecord

T = TypeVar("T")


class BlockingStream:
    """Bytes or property lists, plain or inside TLS; for one thread at a time.

    Every call may raise `DeviceResetError` if the phone has ended the connection, `RequestTimeoutError` if it did not
    answer in time, `RemoteProtocolError` if it broke TLS or the framing, and `NotPairedError` if it refuses this
    computer amid TLS. The connection is closed by every such error.

    Args:
        sock: A blocking socket, owned from now on.
        timeout_s: The longest that a call may take; None for no limit.
        max_length: Longest message that is received, in bytes.
    """

    def __init__(self, sock: socket.socket, timeout_s: float | None, max_length: int = MAX_LENGTH) -> None:
        self.timeout_s = timeout_s
        self._max_length = max_length
        self._sock = sock
        self._tls: TlsSession | None = None
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
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
        self._sock.close()

    def begin_tls(self, record: PairRecord) -> None:
        """Do the handshake of TLS; everything behind it is inside.

        Raises:
            NotPairedError: The phone refuses this computer, is not the one that was paired, or the record is of no use.
        """
        self._guarded(lambda deadline: self._begin_tls(record, deadline))

    def read(self, n: int = CHUNK_LENGTH) -> bytes:
        """Wait for data and take at most `n` bytes; ``b""`` once the phone has ended and all was read."""
        return self._guarded(lambda deadline: self._read(n, deadline))

    def write(self, data: bytes | memoryview) -> None:
        """Send `data`, waiting for the connection to take it."""
        self._guarded(lambda deadline: self._write(data, deadline))

    def send_plist(self, properties: Mapping[str, object]) -> None:
        """Send a message.

        Raises:
            LocalProtocolError: A value that a property list cannot hold.
        """
        self.write(encode(properties))

    def receive_plist(self) -> Mapping[object, object]:
        """Wait for a message; its values may be of any type, see `usbmux.control.property_list.load`."""
        return self._guarded(self._receive_plist)

    def run(self, operation: Operation[T]) -> T:
        """Carry out an operation of `usbmux.lockdown.operations` and return its result.

        Raises:
            LockdownError: The phone refuses. The connection can be used on unless that ended TLS.
            LocalProtocolError: A value that a property list cannot hold; nothing was sent.
        """
        try:
            step = next(operation)
            while True:
                step = operation.send(self._take(step))
        except StopIteration as finished:
            result: T = finished.value
            return result
        except (LockdownError, LocalProtocolError):
            raise
        except BaseException:
            self.close()
            raise

    def _take(self, step: Step) -> Mapping[object, object]:
        match step:
            case Send(properties):
                self.send_plist(properties)
            case Receive():
                return self.receive_plist()
            case BeginTls(record):
                self.begin_tls(record)
            case _:
                assert_never(step)
        return {}

    def _guarded(self, call: Callable[[float], T]) -> T:
        deadline = deadline_after(self.timeout_s)
        try:
            return call(deadline)
        except DeviceResetError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise stream_error(error, self.timeout_s) from error
        except BaseException:
            self.close()
            raise

    def _receive_plist(self, deadline: float) -> Mapping[object, object]:
        reader = PlistReader(self._max_length)
        while data := self._read(reader.bytes_needed, deadline):
            if (message := reader.receive_data(data)) is not None:
                return message
        raise DeviceResetError("the phone ended the connection instead of answering")

    def _begin_tls(self, record: PairRecord, deadline: float) -> None:
        tls = TlsSession(record)
        try:
            while not tls.handshake():
                self._flush(tls, deadline)
                tls.receive_data(self._receive(CHUNK_LENGTH, deadline))
        finally:
            self._flush(tls, deadline)  # an alert that says why, too
        self._tls = tls

    def _read(self, n: int, deadline: float) -> bytes:
        if self._tls is None:
            return self._receive(n, deadline)
        while (data := self._tls.read(n)) is None:
            self._flush(self._tls, deadline)  # such as the answer to a key update
            self._tls.receive_data(self._receive(CHUNK_LENGTH, deadline))
        return data

    def _write(self, data: bytes | memoryview, deadline: float) -> None:
        if self._tls is None:
            self._send_all(data, deadline)
            return
        view = memoryview(data)
        for start in range(0, len(view), CHUNK_LENGTH):
            self._tls.write(view[start : start + CHUNK_LENGTH])
            try:
                self._send_all(self._tls.data_to_send(), deadline)
            except ConnectionError:
                self._read(1, deadline)  # the phone may have said why it ends TLS
                raise

    def _flush(self, tls: TlsSession, deadline: float) -> None:
        """Send what TLS has to say; if nobody takes it, that shows when the answer is read."""
        with suppress(ConnectionError):
            self._send_all(tls.data_to_send(), deadline)

    def _send_all(self, data: bytes | memoryview, deadline: float) -> None:
        set_deadline(self._sock, deadline)
        self._sock.sendall(data)

    def _receive(self, n: int, deadline: float) -> bytes:
        set_deadline(self._sock, deadline)
        return self._sock.recv(n)
