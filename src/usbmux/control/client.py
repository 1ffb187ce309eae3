"""The client's side of one connection to a daemon, without its socket.

Rules C2, C3, C5 and C34 to C38 of docs/protocol/control.md.
"""

from enum import Enum
from functools import lru_cache
from typing import Final

from usbmux.control import binary_codec, plist_codec
from usbmux.control.frame import MAX_FRAME_LENGTH, MAX_REPLY_LENGTH, Frame, FrameReader, MessageType
from usbmux.control.message import (
    Attached,
    ClientIdentity,
    Connect,
    Detached,
    ListDevices,
    Listen,
    Notification,
    Paired,
    Reply,
    Request,
    Result,
    ResultCode,
    UnknownMessageError,
    is_answer,
)
from usbmux.errors import LocalProtocolError, RemoteProtocolError

_TAG_MODULUS: Final = 1 << 32
_ANONYMOUS: Final = ClientIdentity()
_LONGEST_KEPT: Final = 4096


class ClientState(Enum):
    """What the connection is for."""

    IDLE = "idle"
    """It may carry a request."""
    WAITING = "waiting"
    """A request was sent and not yet answered."""
    LISTENING = "listening"
    """It carries notifications."""
    CONNECTED = "connected"
    """It is a stream to a phone."""


_EDGES: Final = {
    ClientState.IDLE: {ClientState.WAITING},
    ClientState.WAITING: {ClientState.IDLE, ClientState.LISTENING, ClientState.CONNECTED},
    ClientState.LISTENING: set(),
    ClientState.CONNECTED: set(),
}


class ClientSession:
    """Turns requests into bytes, and a daemon's bytes into replies and notifications.

    After a `RemoteProtocolError` the connection is of no use and is to be closed.

    Args:
        version: 0 for the binary protocol, which knows Listen and Connect only, 1 for plists.
        identity: What to say of ourselves beside each plist request.
    """

    def __init__(self, version: int = 1, identity: ClientIdentity = _ANONYMOUS) -> None:
        if version not in (0, 1):
            raise LocalProtocolError(f"there is no protocol version {version}")
        self._version = version
        self._identity = identity
        self._state = ClientState.IDLE
        self._reader = FrameReader(MAX_REPLY_LENGTH)
        self._tag = 0
        self._request: Request | None = None

    @property
    def state(self) -> ClientState:
        """What the connection is for at present."""
        return self._state

    @property
    def bytes_needed(self) -> int:
        """Number of bytes that a blocking shell may wait for without reading past the next message.

        0 when `next_event` has something to give, and once connected.
        """
        return 0 if self._state is ClientState.CONNECTED else self._reader.bytes_needed

    def request(self, message: Request) -> bytes:
        """The bytes that ask the daemon for something.

        Raises:
            LocalProtocolError: A reply is outstanding, the connection no longer takes requests, the binary
                protocol has no such request, or it is longer than daemons take.
        """
        if self._state is not ClientState.IDLE:
            raise LocalProtocolError(f"request while {self._state.value}")
        tag = (self._tag + 1) % _TAG_MODULUS
        if self._version == 0:
            message_type, payload = binary_codec.encode(message)
        else:
            encode = _encode_kept if isinstance(message, _FREQUENT) else plist_codec.encode
            message_type, payload = MessageType.PLIST, encode(message, self._identity)
        data = Frame(self._version, message_type, tag, payload).encode()
        if len(data) > MAX_FRAME_LENGTH:
            raise LocalProtocolError(f"a request of {len(data)} bytes: daemons take {MAX_FRAME_LENGTH}")
        self._tag = tag
        self._request = message
        self._set_state(ClientState.WAITING)
        return data

    def receive_data(self, data: bytes | memoryview) -> None:
        """Take bytes from the daemon; `next_event` tells what they mean."""
        self._reader.receive_data(data)

    def next_event(self) -> Reply | Notification | None:
        """The reply to the pending request, the next notification, or None until more bytes come.

        Notifications that we do not know are passed over.

        Raises:
            RemoteProtocolError: The framing is lost, the reply cannot be read or answers something else, or
                nothing was asked for.
        """
        while self._state is not ClientState.CONNECTED:
            frame = self._reader.next_frame()
            if frame is None:
                return None
            if self._request is not None:
                return self._receive_reply(frame, self._request)
            notification = self._receive_notification(frame)
            if notification is not None:
                return notification
        return None

    def take_trailing_data(self) -> bytes:
        """Remove and return what the daemon sent behind the result of Connect.

        Raises:
            LocalProtocolError: The connection is no stream to a phone.
        """
        if self._state is not ClientState.CONNECTED:
            raise LocalProtocolError(f"no trailing data while {self._state.value}")
        return self._reader.take_rest()

    def _receive_reply(self, frame: Frame, request: Request) -> Reply:
        message = _decode(frame, is_frequent=isinstance(request, _FREQUENT))
        if frame.tag != self._tag:
            raise RemoteProtocolError(f"reply with tag {frame.tag} instead of {self._tag}")
        if isinstance(message, Attached | Detached | Paired) or not is_answer(message, request):
            raise RemoteProtocolError(f"{type(message).__name__} as answer to {type(request).__name__}")
        self._request = None
        is_success = message == Result(ResultCode.OK)
        if isinstance(request, Listen) and is_success:
            self._set_state(ClientState.LISTENING)
        elif isinstance(request, Connect) and is_success:
            self._set_state(ClientState.CONNECTED)
        else:
            self._set_state(ClientState.IDLE)
        return message

    def _receive_notification(self, frame: Frame) -> Notification | None:
        if self._state is not ClientState.LISTENING:
            raise RemoteProtocolError("a message that nobody asked for", frame.payload[:32])
        try:
            message = _decode(frame)
        except UnknownMessageError:
            return None
        if not isinstance(message, Attached | Detached | Paired):
            raise RemoteProtocolError(f"{type(message).__name__} among the notifications")
        return message

    def _set_state(self, state: ClientState) -> None:
        assert state in _EDGES[self._state], f"{self._state} to {state}"
        self._state = state


# A program asks the same again and again, and is mostly answered the same; to work that out takes longer than the rest.
# Other messages may carry a pair record, and with it keys, which are not to be kept.
_FREQUENT: Final = (Connect, Listen, ListDevices)
_encode_kept: Final = lru_cache(maxsize=64)(plist_codec.encode)
_decode_kept: Final = lru_cache(maxsize=64)(plist_codec.decode_reply)


def _decode(frame: Frame, *, is_frequent: bool = False) -> Reply | Notification:
    # The header's version is not looked at: daemons answer in the encoding they prefer, R6 always in binary.
    if frame.message_type != MessageType.PLIST:
        return binary_codec.decode_reply(frame.message_type, frame.payload)
    is_kept = is_frequent and len(frame.payload) <= _LONGEST_KEPT
    return (_decode_kept if is_kept else plist_codec.decode_reply)(frame.payload)
