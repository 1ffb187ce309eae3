from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Final, Self, TypeAlias, TypeVar

from usbmux.client.endpoint import QUEUE_FULL_DELAY_S, REFUSALS, hung_up, unix_family, unreachable
from usbmux.control.address import Address, TcpAddress, UnixAddress
from usbmux.control.client import ClientSession
from usbmux.control.message import Notification
from usbmux.deadlines import left_s, set_deadline

if TYPE_CHECKING:
    from usbmux.client.operations import Operation
    from usbmux.control.message import ClientIdentity, Reply, Request

T = TypeVar("T")
WantedSocket: TypeAlias = tuple[socket.socket, int]
Wanted: TypeAlias = WantedSocket | float
"""A socket and for what it is to be ready (`selectors`), or the time.monotonic() at which to go on."""
Steps: TypeAlias = Generator[Wanted, None, T]
"""What never waits itself, but yields what is to be waited for."""

# Poll has no descriptor of its own and no highest descriptor; Windows has only select.
_SELECTOR: Final[type[selectors.BaseSelector]] = getattr(selectors, "PollSelector", selectors.SelectSelector)


def wait_for(wanted: Wanted, deadline: float) -> bool:
    """Wait for that; return whether it came before the deadline."""
    if isinstance(wanted, float):  # what is wanted is that time passes
        time.sleep(max(0.0, min(wanted, deadline) - time.monotonic()))
        return wanted <= deadline
    return bool(select_before(deadline, wanted))


def select_before(deadline: float, *wanted: WantedSocket) -> list[object]:
    """Wait until one of the sockets is ready; return those that are, none of them if the deadline was first."""
    with _SELECTOR() as selector:
        for stream, events in wanted:
            selector.register(stream, events)
        return [key.fileobj for key, _ in selector.select(left_s(deadline))]


def open_socket(address: Address, deadline: float) -> socket.socket:
    """Connect to the daemon.

    Raises:
        DaemonUnavailableError: Nobody serves there.
        TimeoutError: Not before the deadline.
    """
    dialing = dial(address)
    try:
        while wait_for(next(dialing), deadline):
            pass
    except StopIteration as finished:
        stream: socket.socket = finished.value
        set_deadline(stream, deadline)
        return stream
    finally:
        dialing.close()
    raise TimeoutError


def dial(address: Address) -> Steps[socket.socket]:
    """Connect to the daemon, without waiting; the socket that is returned is non-blocking.

    Raises:
        DaemonUnavailableError: Nobody serves there.
    """
    try:
        if isinstance(address, UnixAddress):
            return (yield from _dial_unix(address))
        return (yield from _dial_tcp(address))
    except REFUSALS as error:
        raise unreachable(address, error) from error


def _dial_unix(address: UnixAddress) -> Steps[socket.socket]:
    stream = socket.socket(unix_family(address), socket.SOCK_STREAM)
    try:
        stream.setblocking(False)
        while True:
            try:
                stream.connect(address.path)
                return stream
            except BlockingIOError:
                yield time.monotonic() + QUEUE_FULL_DELAY_S  # the system does not tell when there is room
    except BaseException:
        stream.close()
        raise


def _dial_tcp(address: TcpAddress) -> Steps[socket.socket]:
    error = OSError(f"{address.host} has no address")
    # Looking up a name waits as long as the system likes; there is no other way without a thread.
    for family, kind, protocol, _, endpoint in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        try:
            stream = socket.socket(family, kind, protocol)
        except OSError as failure:
            error = failure
            continue
        try:
            yield from _connect(stream, endpoint)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return stream
        except OSError as failure:
            stream.close()
            error = failure
        except BaseException:
            stream.close()
            raise
    raise error


def _connect(stream: socket.socket, endpoint: tuple[object, ...]) -> Steps[None]:
    stream.setblocking(False)
    try:
        stream.connect(endpoint)
    except BlockingIOError:
        yield stream, selectors.EVENT_WRITE
        if code := stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code)) from None


class BlockingConnection:
    """One connection to the daemon on a blocking socket. Deadlines are readings of time.monotonic().

    Never reads past the end of a message, so the socket may be handed over at any time.
    """

    def __init__(self, stream: socket.socket, address: Address, identity: ClientIdentity) -> None:
        self.stream = stream
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
        self.begin(operation, deadline)
        return self.finish(operation, deadline)

    def begin(self, operation: Operation[T], deadline: float) -> None:
        """Send the first request of an operation. Raises what `run` raises."""
        self._send(next(operation), deadline)

    def finish(self, operation: Operation[T], deadline: float) -> T:
        """Carry out the rest of an operation.

        Raises:
            UsbmuxError: As of `run`.
            TimeoutError: No reply came before the deadline. If it was the only one, this may be called again.
        """
        try:
            while True:
                self._send(operation.send(self._next_reply(deadline)), deadline)
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
        return self.stream.fileno()

    def detach(self) -> socket.socket:
        """Give up the socket: without timeout, at the first byte behind the last message read."""
        self.stream.settimeout(None)
        return self.stream

    def close(self) -> None:
        """Hang up."""
        self.stream.close()

    def _send(self, request: Request, deadline: float) -> None:
        data = self._session.request(request)
        set_deadline(self.stream, deadline)
        try:
            self.stream.sendall(data)
        except BlockingIOError:
            raise TimeoutError from None
        except TimeoutError:
            raise
        except OSError as error:
            raise hung_up(self._address) from error

    def _next_reply(self, deadline: float) -> Reply:
        event = self._next_event(deadline)
        assert not isinstance(event, Notification), "a session that waits for a reply gives no notification"
        return event

    def _next_event(self, deadline: float) -> Reply | Notification:
        while (event := self._session.next_event()) is None:
            self._session.receive_data(self._receive(deadline))
        return event

    def _receive(self, deadline: float) -> bytes:
        set_deadline(self.stream, deadline)
        try:
            data = self.stream.recv(self._session.bytes_needed)
        except BlockingIOError:
            raise TimeoutError from None
        except TimeoutError:
            raise
        except OSError as error:
            raise hung_up(self._address) from error
        if not data:
            raise hung_up(self._address)
        return data
