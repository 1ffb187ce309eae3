"""One connection to a daemon's admin socket, for questions one after the other; blocking, without threads."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from usbmux.admin.codec import decode_answer, encode_request
from usbmux.admin.forward import ForwardRequest, Forwards, ForwardStatus
from usbmux.admin.line_reader import MAX_ANSWER_LENGTH, LineReader
from usbmux.admin.message import (
    Answer,
    CaptureFormat,
    CaptureRequest,
    ClientStatus,
    ConnectionStatus,
    Kicked,
    KickRequest,
    Refused,
    Request,
    Status,
    StatusPart,
    StatusRequest,
)
from usbmux.client.blocking_connection import open_socket
from usbmux.client.endpoint import hung_up, timed_out
from usbmux.deadlines import deadline_after, set_deadline
from usbmux.errors import DaemonUnavailableError, RemoteProtocolError, UsbmuxError

if TYPE_CHECKING:
    from usbmux.control.address import UnixAddress

_READ_SIZE = 1 << 18


class AdminConnection:
    """Asks as often as wanted.

    Opening it, and every question, may raise `DaemonUnavailableError`, `RequestTimeoutError` and `RemoteProtocolError`,
    and `UsbmuxError` when the daemon refuses. After an error the connection is of no use.

    Args:
        address: Of the admin socket.
        timeout_s: The longest that it may take to connect, and then each question; None for no limit.
    """

    def __init__(self, address: UnixAddress, timeout_s: float | None) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._reader = LineReader(MAX_ANSWER_LENGTH)
        try:
            self._stream = open_socket(address, deadline_after(timeout_s))
        except (TimeoutError, BlockingIOError) as error:
            raise timed_out(address, timeout_s) from error
        except DaemonUnavailableError as error:
            if isinstance(error.__cause__, PermissionError):
                raise DaemonUnavailableError(f"{error}; only root and the daemon's user may look inside it") from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def status(self, *, detailed: bool = False) -> Status:
        """Return what the daemon is doing.

        Args:
            detailed: With its clients and their connections, and not only with the phones. They are asked for bit by
                bit: who is there all the time is there once, others may be missing.
        """
        status = self._ask_status(StatusRequest())
        if not detailed:
            return status
        clients: list[ClientStatus] = []
        connections: list[ConnectionStatus] = []
        after: int | None = 0
        while after is not None:
            page = self._ask_status(StatusRequest((StatusPart.CLIENTS, StatusPart.CONNECTIONS), after))
            clients += page.clients
            connections += page.connections
            if page.next_after is not None and page.next_after <= after:
                raise RemoteProtocolError(f"next_after: expected more than {after}, found {page.next_after}")
            after = page.next_after
        return replace(status, clients=tuple(clients), connections=tuple(connections), parts=tuple(StatusPart))

    def kick(self, client: int) -> bool:
        """End a client of the daemon, with its connection to a phone.

        Args:
            client: Its number.

        Returns:
            Whether it was there until now.
        """
        answer = self._ask(KickRequest(client))
        assert isinstance(answer, Kicked), "the codec gives the answer that belongs to the request"
        return answer.found

    def ask_forwards(self, request: ForwardRequest) -> tuple[ForwardStatus, ...]:
        """Return the forwards that the request is about."""
        answer = self._ask(request)
        assert isinstance(answer, Forwards), "the codec gives the answer that belongs to the request"
        return answer.forwards

    def capture(self, udid: str | None, capture_format: CaptureFormat) -> CaptureConnection:
        """Let the connection become a capture; see `AdminClient.capture`."""
        self._ask(CaptureRequest(udid, capture_format))
        self._stream.settimeout(None)
        return CaptureConnection(self._stream, self._reader.take_rest())

    def interrupt(self) -> None:
        """End the question under way, and all later ones, with an error. May be called from another thread."""
        _shut_down(self._stream, socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def _ask_status(self, request: StatusRequest) -> Status:
        answer = self._ask(request)
        assert isinstance(answer, Status), "the codec gives the answer that belongs to the request"
        return answer

    def _ask(self, request: Request) -> Answer:
        deadline = deadline_after(self._timeout_s)
        try:
            set_deadline(self._stream, deadline)
            self._stream.sendall(encode_request(request))
            line = self._next_line(deadline)
        except (TimeoutError, BlockingIOError) as error:
            raise timed_out(self.address, self._timeout_s) from error
        except (ConnectionResetError, BrokenPipeError) as error:
            raise hung_up(self.address) from error
        answer = decode_answer(line, request)
        if isinstance(answer, Refused):
            raise UsbmuxError(f"the usbmux daemon at {self.address} refused: {answer.error}")
        return answer

    def _next_line(self, deadline: float) -> bytes:
        while (line := self._reader.next_line()) is None:
            set_deadline(self._stream, deadline)
            if not (data := self._stream.recv(_READ_SIZE)):
                raise hung_up(self.address)
            self._reader.receive_data(data)
        return line


class CaptureConnection:
    """A capture under way: a stream of bytes in the format that was asked for, from its beginning."""

    def __init__(self, stream: socket.socket, beginning: bytes) -> None:
        self._stream = stream
        self._beginning = beginning

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def read(self, timeout_s: float | None = None) -> bytes | None:
        """Wait for more of the stream.

        Args:
            timeout_s: The longest wait, None for no limit.

        Returns:
            Some of it, empty at its end, or None if nothing came in time.
        """
        if self._beginning:
            data, self._beginning = self._beginning, b""
            return data
        self._stream.settimeout(timeout_s)
        try:
            return self._stream.recv(_READ_SIZE)
        except ConnectionResetError:
            return b""
        except TimeoutError:
            return None

    def stop(self) -> None:
        """Ask for the end. What was captured before still comes. May be called from a signal handler."""
        _shut_down(self._stream, socket.SHUT_WR)

    def close(self) -> None:
        """Hang up."""
        self._stream.close()


def _shut_down(stream: socket.socket, how: int) -> None:
    try:
        stream.shutdown(how)
    except OSError:
        return  # the daemon has ended it already
