"""What can be asked of a running daemon, and what it answers."""

from enum import Enum
from typing import Final, TypeAlias

from usbmux.admin.forward import ForwardRequest, Forwards
from usbmux.values import frozen

SUFFIX: Final = ".admin"
"""Where the admin socket is: beside the daemon's first Unix socket, under its path with this."""
CLIENTS_A_PAGE: Final = 128
"""Of so many clients an answer tells at most: few enough for every reader's bound, and to build it at one go."""


class PhoneState(Enum):
    """What the daemon is about with a phone that is plugged in."""

    OPENING = "opening"
    """It is configured, claimed and shaken hands with."""
    ATTACHED = "attached"
    """Clients see it."""
    CLOSING = "closing"
    """Clients do not see it any more, and its interface is being released."""
    QUARANTINED = "quarantined"
    """It failed, and rests until it is tried again."""


@frozen
class PhoneStatus:
    """One phone. Who it is stays unknown (None) until it was opened for the first time."""

    state: PhoneState
    port_path: str
    """Bus and chain of hub ports, such as ``1-2.3``."""
    udid: str | None = None
    product_id: int | None = None
    connection_speed: int | None = None
    """Bit/s."""
    device_id: int | None = None
    """While it is attached."""
    attach_count: int = 0
    """How often a phone of this UDID was attached since the daemon started."""
    last_error: str | None = None
    """Why it was not, or not any longer, attached, if that happened since it was plugged in."""
    next_try_s: float | None = None
    """Seconds until it is tried again, while it is quarantined."""
    reconnects_last_hour: int = 0
    """How often in the last hour, to the minute, a phone of this UDID was attached again."""
    bytes_to_phone: int = 0
    """Of clients' data, by all connections to a phone of this UDID since the daemon started."""
    bytes_from_phone: int = 0


class ClientActivity(Enum):
    """What a client is about."""

    REQUEST = "request"
    """It asks, or may ask."""
    LISTENING = "listening"
    """It is told of phones that come and go."""
    CONNECTING = "connecting"
    """It waits for the phone's answer."""
    STREAM = "stream"
    """It is joined to a port of a phone."""


@frozen
class ClientStatus:
    """One client. Who it is stays unknown (None) on TCP, and where the platform does not tell."""

    number: int
    """Counted from the start of the daemon, never used twice; also in the log."""
    address: str
    """Where it connected to."""
    what: ClientActivity
    age_s: float
    """Seconds since it connected."""
    uid: int | None = None
    gid: int | None = None
    pid: int | None = None
    program: str | None = None
    """Of the process that has the pid now; a process can choose its name."""


class ConnectionState(Enum):
    """Where a connection to a phone stands; rules T12 to T17 of docs/protocol/mux.md."""

    SYN_SENT = "syn_sent"
    """The phone has not answered yet."""
    ESTABLISHED = "established"
    HALF_CLOSED = "half_closed"
    """The client sends no more."""
    DRAINING = "draining"
    """The client is gone; what it wrote still goes out."""
    CLOSED = "closed"
    """The phone's side is over; the client still gets what came before."""


@frozen
class ConnectionStatus:
    """A client's connection to a port of a phone. Counts are in bytes of the client's data."""

    client: int
    """Its number."""
    udid: str
    port: int
    """Of the phone."""
    local_port: int
    """Our end in the mux protocol, as in captures."""
    state: ConnectionState
    age_s: float
    """Seconds since the client asked for it."""
    send_room: int
    """How much the phone takes now."""
    bytes_to_phone: int = 0
    bytes_from_phone: int = 0
    backlog: int = 0
    """How much the client has not taken yet."""
    phone_stalls: int = 0
    """How often the phone's window was full for 0.1 s or longer."""
    phone_stalled_s: float = 0.0
    """How long that was in all, in seconds."""
    client_stalls: int = 0
    """How often the client left something of the phone's untaken for 0.1 s or longer."""
    client_stalled_s: float = 0.0


class StatusPart(Enum):
    """What a status can be of."""

    PHONES = "phones"
    CLIENTS = "clients"
    CONNECTIONS = "connections"


class CaptureFormat(Enum):
    """How packets are written down."""

    PCAPNG = "pcapng"
    LINES = "lines"
    JSON = "json"
    """A JSON object a line."""


@frozen
class StatusRequest:
    """Asks for a `Status`."""

    parts: tuple[StatusPart, ...] = (StatusPart.PHONES,)
    """What is wanted."""
    after: int = 0
    """Clients and connections are wanted of clients with higher numbers than this."""


@frozen
class CaptureRequest:
    """Asks for a `CaptureBegun`, behind which the packets follow until either side ends the connection."""

    udid: str | None = None
    """The phone whose packets are wanted; None for all phones."""
    format: CaptureFormat = CaptureFormat.PCAPNG


@frozen
class KickRequest:
    """Asks for a `Kicked`: a client is to be ended, with its connection to a phone."""

    client: int
    """Its number."""


@frozen
class Status:
    """The daemon as it is now."""

    version: str
    """Of the program."""
    phones: tuple[PhoneStatus, ...] = ()
    """Those that are plugged in."""
    clients: tuple[ClientStatus, ...] = ()
    """In the order of their numbers; at most `CLIENTS_A_PAGE` in an answer."""
    connections: tuple[ConnectionStatus, ...] = ()
    """Of the same clients."""
    next_after: int | None = None
    """There are more clients: with this as `StatusRequest.after`, the answer goes on behind the last one here."""
    parts: tuple[StatusPart, ...] = (StatusPart.PHONES,)
    """What was asked for; the others are empty."""


@frozen
class CaptureBegun:
    """The packets follow."""


@frozen
class Kicked:
    """The client is gone."""

    found: bool
    """Whether it was there until now."""


@frozen
class Refused:
    """The request was not understood, or cannot be met; the daemon ends the connection."""

    error: str


Request: TypeAlias = StatusRequest | CaptureRequest | KickRequest | ForwardRequest
Answer: TypeAlias = Status | CaptureBegun | Kicked | Forwards | Refused
