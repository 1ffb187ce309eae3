from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, TypeVar

from usbmux.client import operations
from usbmux.client.aio_watch import AsyncWatch, ListeningConnection
from usbmux.client.endpoint import QUEUE_FULL_DELAY_S, REFUSALS, hung_up, timed_out, unix_family, unreachable
from usbmux.client.operations import DEFAULT_TIMEOUT_S, Operation, client_identity
from usbmux.control.address import Address, TcpAddress, UnixAddress, address_from_environment, parse_address
from usbmux.control.client import ClientSession
from usbmux.control.message import ClientIdentity, Notification, Reply, Request

if TYPE_CHECKING:
    from usbmux.client.device import Device, Listener
    from usbmux.lockdown.aio import AsyncLockdownClient

__all__ = ["AsyncClient", "AsyncWatch"]

T = TypeVar("T")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class AsyncClient:
    """Asks the usbmux daemon, with asyncio. `Client` is its twin.

    Every call uses a connection of its own, so a client may be shared by tasks and needs no closing.
    Every call may raise `DaemonUnavailableError`, `RequestTimeoutError`, `RemoteProtocolError` and `RequestError`.

    Args:
        address: Where the daemon listens, in any spelling; None for USBMUXD_SOCKET_ADDRESS or the system's default.
        timeout_s: The longest that a call may take, connecting to the daemon included; None for no limit.
        program: The name under which `listeners` shows this client.

    Raises:
        AddressError: The address, or the variable's value, is no address.
    """

    def __init__(
        self,
        address: str | Address | None = None,
        *,
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
        program: str = "usbmux",
    ) -> None:
        if address is None:
            address = address_from_environment(os.environ)
        self.address: Address = parse_address(address) if isinstance(address, str) else address
        self._timeout_s = timeout_s
        self._identity = client_identity(program)

    async def devices(self) -> list[Device]:
        """Return the attached phones."""
        return await self._request(operations.list_devices())

    async def device(self, udid: str | None = None) -> Device:
        """Return the phone that is meant, or the only one.

        Args:
            udid: Its UDID, a prefix that fits no other (dashes and case do not matter), or its port, such as ``1-2.3``.

        Raises:
            DeviceNotFoundError: No phone fits.
            AmbiguousDeviceError: Several phones fit.
        """
        return await self._request(operations.find_device(udid))

    async def connect(self, device: Device | int | str | None, port: int) -> Streams:
        """Connect to a TCP port of a phone.

        Args:
            device: A phone, its device id, its UDID or port as in `device`, or None for the only phone.
            port: 0 to 65535.

        Returns:
            A reader and a writer of the connection.

        Raises:
            DeviceNotFoundError: No phone fits.
            AmbiguousDeviceError: Several phones fit.
            PortRefusedError: Nothing listens on that port of the phone.
        """
        return await _streams(await self.connect_socket(device, port))

    async def connect_socket(self, device: Device | int | str | None, port: int) -> socket.socket:
        """Connect to a TCP port of a phone, for callers that bring their own transport.

        Arguments and errors are those of `connect`.

        Returns:
            A non-blocking socket that is the connection; nothing of it has been read.
        """
        connection = await self._perform(operations.connect(device, port))
        return connection.stream

    def watch(self, *, reconnect: bool = False) -> AsyncWatch:
        """Watch phones come and go; those that are there already come first.

        Args:
            reconnect: Outlive the daemon: when it is back, only the differences are reported.
        """
        return AsyncWatch(self._listen, reconnect=reconnect)

    async def buid(self) -> str:
        """Return the id under which this computer pairs with phones."""
        return await self._request(operations.read_buid())

    async def listeners(self) -> list[Listener]:
        """Return the programs that listen for device events."""
        return await self._request(operations.list_listeners())

    async def read_pair_record(self, udid: str) -> bytes:
        """Return the pair record of a phone, as it was saved.

        Raises:
            PairRecordNotFoundError: The daemon keeps none.
        """
        return await self._request(operations.read_pair_record(udid))

    async def save_pair_record(self, udid: str, data: bytes, *, device_id: int | None = None) -> None:
        """Store the pair record of a phone.

        Args:
            udid: The phone's, spelled as the daemon spells it.
            data: The record, opaque to the daemon.
            device_id: The attached phone's, so that listeners hear that it is paired.
        """
        await self._request(operations.save_pair_record(udid, data, device_id))

    async def delete_pair_record(self, udid: str) -> None:
        """Delete the pair record of a phone.

        Raises:
            PairRecordNotFoundError: The daemon keeps none.
        """
        await self._request(operations.delete_pair_record(udid))

    def lockdown(self, device: Device | str | None = None) -> AsyncLockdownClient:
        """Ask a phone itself: what it is, to trust this computer, to start a service."""
        from usbmux.client.aio_route import lockdown_client  # here, because most programs have no use for TLS

        return lockdown_client(self, device, self._timeout_s)

    async def _listen(self) -> ListeningConnection:
        connection = await self._perform(operations.listen())
        return ListeningConnection(connection.address, connection.session, *await _streams(connection.stream))

    async def _request(self, operation: Operation[T]) -> T:
        connection, result = await self._run(operation)
        connection.stream.close()
        return result

    async def _perform(self, operation: Operation[object]) -> _Connection:
        connection, _ = await self._run(operation)
        return connection

    async def _run(self, operation: Operation[T]) -> tuple[_Connection, T]:
        try:
            async with asyncio.timeout(self._timeout_s):
                stream = await _open_socket(self.address)
                try:
                    connection = _Connection(stream, self.address, self._identity)
                    return connection, await connection.run(operation)
                except BaseException:
                    stream.close()
                    raise
        except TimeoutError as error:
            raise timed_out(self.address, self._timeout_s) from error


class _Connection:
    """One connection to the daemon on a non-blocking socket, of which no byte behind the last message is read."""

    def __init__(self, stream: socket.socket, address: Address, identity: ClientIdentity) -> None:
        self.stream = stream
        self.address = address
        self.session = ClientSession(identity=identity)

    async def run(self, operation: Operation[T]) -> T:
        try:
            request = next(operation)
            while True:
                request = operation.send(await self._exchange(request))
        except StopIteration as finished:
            result: T = finished.value
            return result

    async def _exchange(self, request: Request) -> Reply:
        loop = asyncio.get_running_loop()
        data = self.session.request(request)
        try:
            await loop.sock_sendall(self.stream, data)
            while (event := self.session.next_event()) is None:
                data = await loop.sock_recv(self.stream, self.session.bytes_needed)
                if not data:
                    raise ConnectionResetError
                self.session.receive_data(data)
        except OSError as error:
            raise hung_up(self.address) from error
        assert not isinstance(event, Notification), "a session that waits for a reply gives no notification"
        return event


async def _streams(stream: socket.socket) -> Streams:
    try:
        return await asyncio.open_connection(sock=stream)
    except BaseException:
        stream.close()
        raise


async def _open_socket(address: Address) -> socket.socket:
    try:
        if isinstance(address, UnixAddress):
            return await _open_unix(address)
        return await _open_tcp(address)
    except REFUSALS as error:
        raise unreachable(address, error) from error


async def _open_unix(address: UnixAddress) -> socket.socket:
    stream = socket.socket(unix_family(address), socket.SOCK_STREAM)
    try:
        stream.setblocking(False)
        while True:
            try:
                stream.connect(address.path)  # not sock_connect: it takes a full queue for success
                return stream
            except BlockingIOError:
                await asyncio.sleep(QUEUE_FULL_DELAY_S)  # the system does not tell when there is room
    except BaseException:
        stream.close()
        raise


async def _open_tcp(address: TcpAddress) -> socket.socket:
    loop = asyncio.get_running_loop()
    error = OSError(f"{address.host} has no address")
    for family, kind, protocol, _, endpoint in await loop.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        try:
            stream = socket.socket(family, kind, protocol)
        except OSError as failure:
            error = failure
            continue
        try:
            stream.setblocking(False)
            await loop.sock_connect(stream, endpoint)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return stream
        except OSError as failure:
            stream.close()
            error = failure
        except BaseException:
            stream.close()
            raise
    raise error
