"""Where a connection stands, and the ways between."""

from enum import Enum, auto
from typing import Final


class TcpState(Enum):
    """Where a connection stands; SYN_SENT, ESTABLISHED and CLOSED as in RFC 9293."""

    SYN_SENT = auto()
    ESTABLISHED = auto()
    HALF_CLOSED = auto()
    """The client has ended its writing; the phone's answer is still delivered."""
    DRAINING = auto()
    """The client is gone; what it wrote still goes out, what comes is acknowledged and dropped."""
    CLOSED = auto()

    __hash__ = object.__hash__  # as good, and without a call


EDGES: Final = {
    TcpState.SYN_SENT: {TcpState.ESTABLISHED, TcpState.CLOSED},
    TcpState.ESTABLISHED: {TcpState.HALF_CLOSED, TcpState.DRAINING, TcpState.CLOSED},
    TcpState.HALF_CLOSED: {TcpState.DRAINING, TcpState.CLOSED},
    TcpState.DRAINING: {TcpState.CLOSED},
    TcpState.CLOSED: set[TcpState](),
}
