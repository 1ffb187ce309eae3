"""Everything that a `MuxSession` reports. Names are past participles: it has happened already.

What connections report is made of tuples, because to make a frozen dataclass takes three times as long.
"""

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from usbmux.values import frozen

if TYPE_CHECKING:  # the connection reports these events, so it imports this module
    from usbmux.mux.connection import TcpConnection


class CloseCause(Enum):
    """Why a connection ended."""

    REFUSED = auto()
    """The phone answered the SYN with RST: nothing listens on the port."""
    UNANSWERED = auto()
    """The phone did not answer the SYN in time."""
    RESET = auto()
    """The phone ended it. The only way in which a phone closes, so this is also the ordinary end."""
    VIOLATED = auto()
    """The phone sent a segment that cannot be right; we reset the connection rather than leave a gap."""
    FINISHED = auto()
    """Our side ended it, after everything that had been sent was acknowledged."""
    EXPIRED = auto()
    """Our side had ended it and nothing moved for the linger time."""
    ABORTED = auto()
    """Our side cut it off."""
    LOST = auto()
    """The link to the phone ended."""


@frozen
class HandshakeCompleted:
    """The phone answered VERSION: it can be shown to clients. Comes again after `ResynchronisationBegun`."""

    version: int


@frozen
class ResynchronisationBegun:
    """The framing was lost; the handshake begins anew. All connections were reported closed before this."""

    reason: str


@frozen
class SessionFailed:
    """The link cannot be used any more. All connections are reported closed behind this."""

    reason: str


@frozen
class DeviceMessage:
    """The phone sent a CONTROL text."""

    kind: int
    """A `ControlKind`, or whatever number the phone put there."""
    text: str


@frozen
class PacketIgnored:
    """A packet that belongs to nothing was dropped."""

    reason: str


class ConnectionEstablished(NamedTuple):
    """The phone accepted the connection: `MuxSession.send` may be called."""

    connection: "TcpConnection"


class DataReceived(NamedTuple):
    """The phone sent data. Acknowledge it by `MuxSession.acknowledge` as it is taken."""

    connection: "TcpConnection"
    pieces: list[memoryview | bytes]
    """In order, none of them empty; valid as long as the buffers given to `MuxSession.receive_data`."""


class SendRoomOpened(NamedTuple):
    """`TcpConnection.send_room` was 0 and is not any more."""

    connection: "TcpConnection"


class ConnectionClosed(NamedTuple):
    """The connection is over; nothing more is reported of it."""

    connection: "TcpConnection"
    cause: CloseCause
    text: str
    """For people: the phone's reason, or what was expected and what came. May be empty."""


RareEvent = (
    HandshakeCompleted
    | ResynchronisationBegun
    | SessionFailed
    | DeviceMessage
    | PacketIgnored
    | ConnectionEstablished
    | SendRoomOpened
    | ConnectionClosed
)
Event = DataReceived | RareEvent
