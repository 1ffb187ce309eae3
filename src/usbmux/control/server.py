"""The daemon's side of one client connection, without its socket.

Rules C2, C3, C5, C13, C28 and C31 to C33 of docs/protocol/control.md.
"""

from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from usbmux.control import binary_codec, plist_codec
from usbmux.control.frame import MAX_FRAME_LENGTH, Frame, FrameReader, MessageType
from usbmux.control.message import (
    ClientIdentity,
    Connect,
    DeviceList,
    InvalidRequestError,
    Listen,
    Notification,
    Reply,
    Request,
    Result,
    ResultCode,
    is_answer,
)
from usbmux.errors import LocalProtocolError, RemoteProtocolError
from usbmux.values import frozen

_NOTIFICATION_TAG: Final = 0
_NOBODY: Final = ClientIdentity()
_PLIST: Final = int(MessageType.PLIST)  # plain numbers, because to read a member takes as long as to call a function
_BINARY_REQUESTS: Final = frozenset({int(MessageType.CONNECT), int(MessageType.LISTEN)})


class ServerState(Enum):
    """What the connection is for."""

    COMMAND = "command"
    """It carries requests, one after the other."""
    CONNECTING = "connecting"
    """It waits for the result of Connect; nothing behind the request is looked at."""
    CONNECTED = "connected"
    """It is a stream to a phone; none of our business any more."""
    LISTENING = "listening"
    """It carries notifications."""
    CLOSING = "closing"
    """The client broke the protocol; what it still sends is dropped."""

    __hash__ = object.__hash__  # as good, and without a call


_EDGES: Final = {
    ServerState.COMMAND: {ServerState.CONNECTING, ServerState.LISTENING, ServerState.CLOSING},
    ServerState.CONNECTING: {ServerState.CONNECTED, ServerState.COMMAND},
    ServerState.CONNECTED: set(),
    ServerState.LISTENING: {ServerState.CLOSING},
    ServerState.CLOSING: set(),
}


class RequestReceived(NamedTuple):
    """A request that waits for `ServerSession.reply`."""

    request: Request


@frozen
class RequestInvalid:
    """A request that was not understood and waits for a Result through `ServerSession.reply`."""

    code: int
    """What to answer: a `ResultCode`, or an errno."""
    reason: str
    """For the log."""


class _PendingRequest(NamedTuple):
    tag: int
    is_plist: bool
    request: Request | None
    """None when it was not understood."""


class ServerSession:
    """Turns a client's bytes into requests, and replies and notifications into bytes.

    One request is handed out at a time. While it waits for its reply, the shell should not read from the
    socket: everything received is kept, because behind Connect it belongs to the phone.
    """

    def __init__(self) -> None:
        self._state = ServerState.COMMAND
        self._reader = FrameReader(MAX_FRAME_LENGTH)
        self._identity = _NOBODY
        self._pending: _PendingRequest | None = None
        self._is_plist_seen = False
        self._is_listener_plist = False

    @property
    def state(self) -> ServerState:
        """What the connection is for at present."""
        return self._state

    @property
    def identity(self) -> ClientIdentity:
        """What the client said of itself with its last plist request."""
        return self._identity

    @property
    def is_amid_request(self) -> bool:
        """Whether bytes of a request are there that is not complete, or was not handed out yet."""
        return self._reader.is_amid_frame

    def receive_data(self, data: bytes | memoryview) -> None:
        """Take bytes from the client; `next_event` tells what they mean."""
        if self._state is not ServerState.CLOSING:
            self._reader.receive_data(data)

    def next_event(self) -> RequestReceived | RequestInvalid | None:
        """The next request, or None: until more bytes come, or until the pending request was answered.

        Raises:
            RemoteProtocolError: The framing is lost; the socket is to be closed.
        """
        if self._pending is not None or self._state in (ServerState.CONNECTED, ServerState.CLOSING):
            return None
        try:
            frame = self._reader.next_frame()
        except RemoteProtocolError:
            self._set_state(ServerState.CLOSING)
            raise
        return None if frame is None else self._receive_frame(frame)

    def reply(self, message: Reply) -> bytes:
        """The bytes that answer the pending request.

        Raises:
            LocalProtocolError: Nothing is pending, or this is no answer to it.
        """
        pending = self._pending
        if pending is None:
            raise LocalProtocolError("no request is pending")
        if not (isinstance(message, Result) if pending.request is None else is_answer(message, pending.request)):
            raise LocalProtocolError(f"{type(message).__name__} is no answer to {type(pending.request).__name__}")
        data = _encode(message, pending.is_plist, pending.tag)
        self._pending = None
        self._advance(pending, is_success=isinstance(message, Result) and not message.code)
        return data

    def notify(self, message: Notification) -> bytes:
        """The bytes of a notification.

        Raises:
            LocalProtocolError: The client is not listening.
        """
        if self._state is not ServerState.LISTENING:
            raise LocalProtocolError(f"notification while {self._state.value}")
        return _encode_notification(message, self._is_listener_plist)

    def take_trailing_data(self) -> bytes:
        """Remove and return what the client sent behind Connect.

        Raises:
            LocalProtocolError: The connection is no stream to a phone.
        """
        if self._state is not ServerState.CONNECTED:
            raise LocalProtocolError(f"no trailing data while {self._state.value}")
        return self._reader.take_rest()

    def _receive_frame(self, frame: Frame) -> RequestReceived | RequestInvalid:
        is_version_known = frame.version in (0, 1)
        if is_version_known and frame.message_type == _PLIST:
            self._is_plist_seen = True
        is_binary_request = is_version_known and frame.message_type in _BINARY_REQUESTS
        is_plist = self._is_plist_seen and not is_binary_request
        try:
            request = self._decode(frame, is_version_known)
        except InvalidRequestError as error:
            self._pending = _PendingRequest(frame.tag, is_plist, None)
            return RequestInvalid(error.code, str(error))
        self._pending = _PendingRequest(frame.tag, is_plist, request)
        if isinstance(request, Connect):
            self._set_state(ServerState.CONNECTING)
        return RequestReceived(request)

    def _decode(self, frame: Frame, is_version_known: bool) -> Request:
        if self._state is ServerState.LISTENING:
            raise InvalidRequestError(ResultCode.BAD_COMMAND, "a command on a listening connection")
        if not is_version_known:
            raise InvalidRequestError(ResultCode.BAD_VERSION, f"protocol version {frame.version}")
        if frame.message_type != _PLIST:
            return binary_codec.decode_request(frame.message_type, frame.payload)
        request, self._identity = plist_codec.decode_request(frame.payload)
        return request

    def _advance(self, pending: _PendingRequest, is_success: bool) -> None:
        if self._state is ServerState.LISTENING:
            self._set_state(ServerState.CLOSING)
        elif isinstance(pending.request, Connect):
            self._set_state(ServerState.CONNECTED if is_success else ServerState.COMMAND)
        elif isinstance(pending.request, Listen) and is_success:
            self._is_listener_plist = pending.is_plist
            self._set_state(ServerState.LISTENING)

    def _set_state(self, state: ServerState) -> None:
        assert state in _EDGES[self._state], f"{self._state} to {state}"
        self._state = state


def _encode(message: Reply | Notification, is_plist: bool, tag: int) -> bytes:
    match message:
        case Result():
            version, message_type, payload = _encode_result(message, is_plist)
        case DeviceList():
            version, message_type, payload = _encode_list(message, is_plist)
        case _:
            version, message_type, payload = _encode_payload(message, is_plist)
    return Frame(version, message_type, tag, payload).encode()


def _encode_payload(message: Reply | Notification, is_plist: bool) -> tuple[int, int, bytes]:
    """Version, message number and payload."""
    if is_plist:
        return 1, _PLIST, plist_codec.encode(message)
    message_type, payload = binary_codec.encode(message)
    return 0, int(message_type), payload


# Kept, because many clients are told the same in the same bytes, and encoding takes longer than sending.
_encode_result: Final = lru_cache(maxsize=32)(_encode_payload)
_encode_list: Final = lru_cache(maxsize=8)(_encode_payload)


@lru_cache(maxsize=256)
def _encode_notification(message: Notification, is_plist: bool) -> bytes:
    return _encode(message, is_plist, _NOTIFICATION_TAG)
