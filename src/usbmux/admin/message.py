"""What can be asked of a running daemon, and what it answers."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

SUFFIX: Final = ".admin"
"""Where the admin socket is: beside the daemon's first Unix socket, under its path with this."""


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


@dataclass(frozen=True, slots=True)
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


class CaptureFormat(Enum):
    """How packets are written down."""

    PCAPNG = "pcapng"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """Asks for a `Status`."""


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """Asks for a `CaptureBegun`, behind which the packets follow until either side ends the connection."""

    udid: str | None = None
    """The phone whose packets are wanted; None for all phones."""
    format: CaptureFormat = CaptureFormat.PCAPNG


@dataclass(frozen=True, slots=True)
class Status:
    """The daemon as it is now."""

    version: str
    """Of the program."""
    phones: tuple[PhoneStatus, ...]
    """Those that are plugged in."""


@dataclass(frozen=True, slots=True)
class CaptureBegun:
    """The packets follow."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The request was not understood; the daemon ends the connection."""

    error: str


Request: TypeAlias = StatusRequest | CaptureRequest
Answer: TypeAlias = Status | CaptureBegun | Refused
