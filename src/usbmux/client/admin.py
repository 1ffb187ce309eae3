"""Looks inside a running daemon, through its admin socket; blocking, without threads."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from usbmux.admin.codec import decode_answer, encode_request
from usbmux.admin.forward import (
    ForwardAddRequest,
    ForwardListRequest,
    ForwardRemoveRequest,
    ForwardRequest,
    Forwards,
    ForwardStatus,
    KeptForward,
)
from usbmux.admin.line_reader import MAX_ANSWER_LENGTH, LineReader
from usbmux.admin.message import (
    SUFFIX,
    Answer,
    CaptureFormat,
    CaptureRequest,
    ClientStatus,
    ConnectionStatus,
    Refused,
    Request,
    Status,
    StatusPart,
    StatusRequest,
)
from usbmux.client.blocking_connection import deadline_after, open_socket, set_deadline
from usbmux.client.endpoint import hung_up, timed_out
from usbmux.client.operations import DEFAULT_TIMEOUT_S
from usbmux.control.address import UnixAddress
from usbmux.errors import AddressError, DaemonUnavailableError, RemoteProtocolError, UsbmuxError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usbmux.control.address import Address

_READ_SIZE = 1 << 18


def admin_address(address: Address) -> UnixAddress:
    """Where a daemon that listens at this address has its admin socket, unless it was told otherwise.

    Raises:
        AddressError: Not beside a TCP address.
    """
    if not isinstance(address, UnixAddress):
        raise AddressError(f"{address} is no Unix socket, so the place of the daemon's admin socket must be given")
    return UnixAddress(address.path + SUFFIX)


class AdminClient:
    """Asks a daemon's admin socket.

    Every question uses a connection of its own, and may raise `DaemonUnavailableError`, `RequestTimeoutError` and
    `RemoteProtocolError`.

    Args:
        address: Of the admin socket.
        timeout_s: The longest that a question may take; None for no limit.
    """

    def __init__(self, address: UnixAddress, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> None:
        self.address = address
        self._timeout_s = timeout_s

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

    def capture(
        self, udid: str | None = None, capture_format: CaptureFormat = CaptureFormat.PCAPNG
    ) -> CaptureConnection:
        """Begin to capture what crosses between the daemon and phones.

        Args:
            udid: The phone's, as the daemon spells it; None for all phones, those that come later included.
            capture_format: How the packets are written down.
        """
        stream, _answer, rest = self._ask(CaptureRequest(udid, capture_format))
        return CaptureConnection(stream, rest)

    def add_forwards(self, forwards: Sequence[KeptForward]) -> tuple[ForwardStatus, ...]:
        """Have the daemon forward local ends to ports of phones, from now on and after every restart.

        Args:
            forwards: All of them or, if one is impossible, none.

        Returns:
            Them as they are kept.
        """
        return self._ask_forwards(ForwardAddRequest(tuple(forwards)))

    def forwards(self) -> tuple[ForwardStatus, ...]:
        """Return the forwards that the daemon keeps, in the order in which they were added."""
        return self._ask_forwards(ForwardListRequest())

    def remove_forwards(self, listen: Sequence[str]) -> tuple[ForwardStatus, ...]:
        """Have the daemon forward no more what comes in there.

        Args:
            listen: As `forwards` tells it; all of them or, if there is none such, none.

        Returns:
            Those that were removed.
        """
        return self._ask_forwards(ForwardRemoveRequest(tuple(listen)))

    def _ask_forwards(self, request: ForwardRequest) -> tuple[ForwardStatus, ...]:
        stream, answer, _rest = self._ask(request)
        stream.close()
        assert isinstance(answer, Forwards), "the codec gives the answer that belongs to the request"
        return answer.forwards

    def _ask_status(self, request: StatusRequest) -> Status:
        stream, answer, _rest = self._ask(request)
        stream.close()
        assert isinstance(answer, Status), "the codec gives the answer that belongs to the request"
        return answer

    def _ask(self, request: Request) -> tuple[socket.socket, Answer, bytes]:
        """Return the connection, the answer, and what came behind it."""
        deadline = deadline_after(self._timeout_s)
        try:
            stream = self._connect(deadline)
            try:
                answer, rest = self._exchange(stream, request, deadline)
            except BaseException:
                stream.close()
                raise
        except (TimeoutError, BlockingIOError) as error:
            raise timed_out(self.address, self._timeout_s) from error
        stream.settimeout(None)
        return stream, answer, rest

    def _connect(self, deadline: float) -> socket.socket:
        try:
            return open_socket(self.address, deadline)
        except DaemonUnavailableError as error:
            if isinstance(error.__cause__, PermissionError):
                raise DaemonUnavailableError(f"{error}; only root and the daemon's user may look inside it") from error
            raise

    def _exchange(self, stream: socket.socket, request: Request, deadline: float) -> tuple[Answer, bytes]:
        reader = LineReader(MAX_ANSWER_LENGTH)
        try:
            set_deadline(stream, deadline)
            stream.sendall(encode_request(request))
            while (line := reader.next_line()) is None:
                set_deadline(stream, deadline)
                if not (data := stream.recv(_READ_SIZE)):
                    raise hung_up(self.address)
                reader.receive_data(data)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise hung_up(self.address) from error
        answer = decode_answer(line, request)
        if isinstance(answer, Refused):
            raise UsbmuxError(f"the usbmux daemon at {self.address} refused: {answer.error}")
        return answer, reader.take_rest()


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
        try:
            self._stream.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the daemon has ended it already

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
