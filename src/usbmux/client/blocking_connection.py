from __future__ import annotations

import math
import socket
import time
from typing import TYPE_CHECKING, Self, TypeVar

from usbmux.client.endpoint import QUEUE_FULL_DELAY_S, REFUSALS, hung_up, unix_family, unreachable
from usbmux.control.address import Address, TcpAddress, UnixAddress
from usbmux.control.client import ClientSession
from usbmux.control.message import Notification

if TYPE_CHECKING:
    from usbmux.client.operations import Operation
    from usbmux.control.message import ClientIdentity, Reply, Request

T = TypeVar("T")


def deadline_after(timeout_s: float | None) -> float:
    """Return the time.monotonic() at which the timeout ends, infinity for None."""
    return math.inf if timeout_s is None else time.monotonic() + timeout_s


def set_deadline(stream: socket.socket, deadline: float) -> None:
    """Let the socket's next call wait until the deadline, or not at all if it has passed."""
    stream.settimeout(None if deadline == math.inf else max(0.0, deadline - time.monotonic()))


def open_socket(address: Address, deadline: float) -> socket.socket:
    """Connect to the daemon.

    Raises:
        DaemonUnavailableError: Nobody serves there.
        TimeoutError: Not before the deadline.
    """
    try:
        if isinstance(address, UnixAddress):
            return _open_unix(address, deadline)
        return _open_tcp(address, deadline)
    except TimeoutError:
        raise
    except REFUSALS as error:
        raise unreachable(address, error) from error


def _open_unix(address: UnixAddress, deadline: float) -> socket.socket:
    stream = socket.socket(unix_family(address), socket.SOCK_STREAM)
    try:
        while True:
            set_deadline(stream, deadline)
            try:
                stream.connect(address.path)
                return stream
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TimeoutError from None
                time.sleep(QUEUE_FULL_DELAY_S)  # the system does not tell when there is room
    except BaseException:
        stream.close()
        raise


def _open_tcp(address: TcpAddress, deadline: float) -> socket.socket:
    timeout_s = None if deadline == math.inf else max(0.001, deadline - time.monotonic())
    stream = socket.create_connection((address.host, address.port), timeout_s)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


class BlockingConnection:
    """One connection to the daemon on a blocking socket. Deadlines are readings of time.monotonic().

    Never reads past the end of a message, so the socket may be handed over at any time.
    """

    def __init__(self, stream: socket.socket, address: Address, identity: ClientIdentity) -> None:
        self._stream = stream
        self._address = address
        self._session = ClientSession(identity=identity)

    @classmethod
    def open(cls, address: Address, identity: ClientIdentity, deadline: float) -> Self:
        """Connect to the daemon.

        Raises:
            DaemonUnavailableError: Nobody serves there.
            TimeoutError: Not before the deadline.
        """
        return cls(open_socket(address, deadline), address, identity)

    def run(self, operation: Operation[T], deadline: float) -> T:
        """Carry out an operation and return its result.

        Raises:
            UsbmuxError: The operation's, or the daemon hung up, or it broke the protocol.
            TimeoutError: The operation did not end before the deadline.
        """
        try:
            request = next(operation)
            while True:
                request = operation.send(self._exchange(request, deadline))
        except StopIteration as finished:
            result: T = finished.value
            return result

    def next_notification(self, deadline: float) -> Notification:
        """Wait for the next notification of a listening connection.

        Raises:
            DaemonUnavailableError: The daemon hung up.
            TimeoutError: Nothing came before the deadline.
        """
        event = self._next_event(deadline)
        assert isinstance(event, Notification), "a listening session gives notifications only"
        return event

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._stream.fileno()

    def detach(self) -> socket.socket:
        """Give up the socket: without timeout, at the first byte behind the last message read."""
        self._stream.settimeout(None)
        return self._stream

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def _exchange(self, request: Request, deadline: float) -> Reply:
        data = self._session.request(request)
        set_deadline(self._stream, deadline)
        try:
            self._stream.sendall(data)
        except BlockingIOError:
            raise TimeoutError from None
        except TimeoutError:
            raise
        except OSError as error:
            raise hung_up(self._address) from error
        event = self._next_event(deadline)
        assert not isinstance(event, Notification), "a session that waits for a reply gives no notification"
        return event

    def _next_event(self, deadline: float) -> Reply | Notification:
        while (event := self._session.next_event()) is None:
            self._session.receive_data(self._receive(deadline))
        return event

    def _receive(self, deadline: float) -> bytes:
        set_deadline(self._stream, deadline)
        try:
            data = self._stream.recv(self._session.bytes_needed)
        except BlockingIOError:
            raise TimeoutError from None
        except TimeoutError:
            raise
        except OSError as error:
            raise hung_up(self._address) from error
        if not data:
            raise hung_up(self._address)
        return data
