"""How a simulated phone behaves: its sizes and windows, and the faults it is asked to commit."""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from usbmux.errors import LocalProtocolError
from usbmux.mux.packet import MAGIC, ControlKind
from usbmux.mux.segment import Segment
from usbmux.values import frozen


@frozen
class PhoneOptions:
    """Behaviour of one phone. The defaults keep the protocol, all sizes and counts are in bytes."""

    max_packet_size: int = 512
    """The bulk endpoints' wMaxPacketSize."""

    window: int = 131072
    """The window that every connection starts with, rounded down to a multiple of 256 on the wire; 0 shuts it
    until the port's handler calls `PhoneStream.set_window`."""
    acknowledge: Literal["delivered", "received"] = "delivered"
    """"delivered": the window is constant and data is acknowledged when the handler has read it.
    "received": it is acknowledged at once, and the window shrinks by what the handler has not read."""
    announce_window: bool = True
    """False: what the handler has read is told only in answer to a segment of the host. With "received", a window that
    was shut then stays so until the host asks."""
    initial_sequence: int = 0xFFFF0000
    """Of every connection; the default makes the numbers wrap after 64 KiB."""
    max_segment: int = 32768
    """Most payload of one segment to the host."""

    split_transfers: int = 0
    """Cut bulk IN transfers into pieces of at most this size; 0 leaves them whole."""
    join_transfers: bool = False
    """Put all packets that are due at the same time into one transfer, before any splitting."""

    answer_version: bool = True
    """False: VERSION is never answered."""
    answer_syn: bool = True
    """False: a SYN is never answered."""
    magic: int = MAGIC
    """Third field of every header of version 2 that the phone sends."""
    control_texts: tuple[tuple[ControlKind, str], ...] = ()
    """CONTROL packets sent at the end of the handshake."""
    reset_after: int | None = None
    """Reset each connection as soon as it has carried this much payload, both directions added."""
    reset_text: bytes = b""
    """What the RST of `reset_after` says."""
    tamper: Callable[[Segment], Segment | None] | None = None
    """Changes any segment on its way to the host; None drops it."""


VERSIONS: Final = range(1 << 32)
"""What a phone can name as the version of the mux protocol that it speaks, though most do not exist."""
_AT_LEAST_1: Final = range(1, 1 << 63)
_32_BITS: Final = range(1 << 32)
_RANGES: Final[Mapping[str, range]] = {
    "max_packet_size": _AT_LEAST_1,
    "initial_sequence": _32_BITS,
    "max_segment": _AT_LEAST_1,
    "magic": _32_BITS,
}


def check_options(options: PhoneOptions) -> None:
    """Find out whether a phone can behave so.

    Raises:
        LocalProtocolError: Something fits in no header, or no packet could ever be sent; the text begins with its name.
    """
    for name, expected in _RANGES.items():
        if (value := getattr(options, name)) not in expected:
            text = f"expected a whole number from {expected[0]} to {expected[-1]}, found {value}"
            raise LocalProtocolError(f"{name}: {text}")
