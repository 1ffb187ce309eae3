"""The class of the Python client that people used before this package, for programs that still import it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from usbmux.client.blocking_connection import open_socket
from usbmux.client.operations import DEFAULT_TIMEOUT_S, client_identity, describe_result
from usbmux.control import binary_codec, plist_codec
from usbmux.control.address import address_from_environment, parse_address
from usbmux.control.frame import MAX_REPLY_LENGTH, Frame, FrameReader, MessageType
from usbmux.control.message import (
    Attached,
    Connect,
    Detached,
    Listen,
    Notification,
    Paired,
    Reply,
    Request,
    Result,
    ResultCode,
    UnknownMessageError,
)
from usbmux.deadlines import deadline_after, set_deadline
from usbmux.errors import RemoteProtocolError, UsbmuxError
from usbmux.values import frozen

if TYPE_CHECKING:
    import socket

    from usbmux.control.address import Address

_REQUEST_TAG = 1
_BINARY, _PLIST = 0, 1


class MuxError(UsbmuxError):
    """The daemon refused, hung up or cannot be understood."""


class MuxVersionError(MuxError):
    """The daemon speaks another version of the protocol."""


@frozen
class MuxDevice:
    """A phone as `USBMux.devices` lists it."""

    devid: int
    """The daemon's number for it."""
    usbprod: int
    """The USB product id."""
    serial: str
    location: int


class USBMux:
    """Watches phones and connects to their ports. Kept for compatibility: new programs use `Client`.

    Speaks the binary protocol, and plists if the daemon prefers those.

    Args:
        socketpath: The daemon's socket, in any spelling; None for USBMUXD_SOCKET_ADDRESS or the system's default.

    Raises:
        AddressError: The socket, or the variable's value, is no address.
        MuxError: The daemon does not let us listen.
        DaemonUnavailableError: Nobody serves at the address.
    """

    def __init__(self, socketpath: str | None = None) -> None:
        self.devices: list[MuxDevice] = []
        """The phones that are attached as far as `process` has heard."""
        self._address = address_from_environment(os.environ) if socketpath is None else parse_address(socketpath)
        self._version = _BINARY
        try:
            self._listener = self._listen()
        except MuxVersionError:
            self._version = _PLIST
            self._listener = self._listen()

    def process(self, timeout: float | None = None) -> None:
        """Wait for news of phones and bring `devices` up to date.

        Args:
            timeout: The longest wait in seconds, None for no limit.

        Raises:
            MuxError: The daemon hung up.
        """
        wait_s = timeout
        with contextlib.suppress(TimeoutError):
            while True:
                self._handle(self._listener.receive_notification(deadline_after(wait_s)))
                wait_s = 0.0

    def connect(self, device: MuxDevice, port: int) -> socket.socket:
        """Return a blocking socket that is a connection to the port of the phone.

        Raises:
            MuxError: The phone is gone or refused, or the daemon failed.
        """
        # A daemon that sends plists to a binary listener may misread a binary Connect.
        connection = _MuxConnection(self._address, max(self._version, self._listener.peer_version))
        try:
            result = connection.request(Connect(device.devid, port))
            if result != Result(ResultCode.OK):
                raise MuxError(f"cannot connect to port {port} of device {device.devid}: {_describe(result)}")
        except BaseException:
            connection.close()
            raise
        connection.stream.settimeout(None)
        return connection.stream

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _listen(self) -> _MuxConnection:
        connection = _MuxConnection(self._address, self._version)
        try:
            result = connection.request(Listen())
            if result == Result(ResultCode.BAD_VERSION) or connection.peer_version > self._version:
                raise MuxVersionError(f"the daemon does not speak version {self._version}: {_describe(result)}")
            if result != Result(ResultCode.OK):
                raise MuxError(f"cannot listen: {_describe(result)}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _handle(self, notification: Notification) -> None:
        match notification:
            case Attached(record):
                self._forget(record.device_id)
                self.devices.append(
                    MuxDevice(record.device_id, record.product_id, record.serial_number, record.location_id)
                )
            case Detached(device_id):
                self._forget(device_id)
            case Paired():
                pass

    def _forget(self, device_id: int) -> None:
        self.devices[:] = [device for device in self.devices if device.devid != device_id]


class _MuxConnection:
    """One connection to the daemon, in one version, that knows in which version the daemon answered."""

    def __init__(self, address: Address, version: int) -> None:
        self._version = version
        self._deadline = deadline_after(DEFAULT_TIMEOUT_S)
        self._reader = FrameReader(MAX_REPLY_LENGTH)
        self.peer_version = version
        try:
            self.stream = open_socket(address, self._deadline)
        except TimeoutError as error:
            raise MuxError(f"no answer from the daemon at {address}") from error

    def request(self, request: Request) -> Reply | Notification:
        if self._version == _PLIST:
            message_type, payload = MessageType.PLIST, plist_codec.encode(request, client_identity("usbmux"))
        else:
            message_type, payload = binary_codec.encode(request)
        set_deadline(self.stream, self._deadline)
        try:
            self.stream.sendall(Frame(self._version, message_type, _REQUEST_TAG, payload).encode())
        except OSError as error:
            raise MuxError(f"the daemon hung up: {error}") from error
        try:
            return self._receive(self._deadline)
        except TimeoutError as error:
            raise MuxError("no answer from the daemon") from error
        except RemoteProtocolError as error:
            raise MuxError(str(error)) from error

    def receive_notification(self, deadline: float) -> Notification:
        while True:
            try:
                message = self._receive(deadline)
            except UnknownMessageError:
                continue
            except RemoteProtocolError as error:
                raise MuxError(str(error)) from error
            if not isinstance(message, Notification):
                raise MuxError(f"the daemon sent {type(message).__name__} among the notifications")
            return message

    def close(self) -> None:
        self.stream.close()

    def _receive(self, deadline: float) -> Reply | Notification:
        while (frame := self._reader.next_frame()) is None:
            self._reader.receive_data(self._read(deadline))
        if frame.message_type == MessageType.PLIST:
            self.peer_version = _PLIST
            return plist_codec.decode_reply(frame.payload)
        self.peer_version = _BINARY
        return binary_codec.decode_reply(frame.message_type, frame.payload)

    def _read(self, deadline: float) -> bytes:
        set_deadline(self.stream, deadline)
        try:
            data = self.stream.recv(self._reader.bytes_needed)
        except BlockingIOError:
            raise TimeoutError from None
        except TimeoutError:
            raise
        except OSError as error:
            raise MuxError(f"the daemon hung up: {error}") from error
        if not data:
            raise MuxError("the daemon hung up")
        return data


def _describe(result: Reply | Notification) -> str:
    if isinstance(result, Result):
        return f"the daemon answered {describe_result(result.code)}"
    return f"the daemon answered with {type(result).__name__}"
