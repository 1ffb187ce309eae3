"""What happens on a link besides segments, and the words for it."""

from typing import assert_never

from usbmux.capture.transcript import BytesSkipped, FramingLost, describe, shown_bytes
from usbmux.mux.packet import Packet
from usbmux.values import frozen


@frozen
class LinkBegan:
    """From here on everything is told."""

    port_path: str
    connection_speed: int
    """In bit/s."""
    is_under_way: bool
    """The link was open before, and is joined."""


@frozen
class LinkEnded:
    """Nothing more comes."""

    reason: str
    """Printable."""


@frozen
class OtherPacket:
    """A packet that is not TCP; its payload is valid during the call."""

    packet: Packet


@frozen
class UnreadableSegment:
    """A TCP packet without a proper header; its payload is valid during the call."""

    reason: str
    payload: bytes | memoryview


@frozen
class BytesLeft:
    """The link ends with so many bytes of no whole packet."""

    count: int


@frozen
class LinesDropped:
    """So many lines are missing here, because they are read too slowly."""

    count: int


LinkEvent = (
    LinkBegan | LinkEnded | OtherPacket | UnreadableSegment | BytesSkipped | BytesLeft | FramingLost | LinesDropped
)


def event_text(event: LinkEvent) -> str:
    """The event in one line of printable characters."""
    match event:
        case LinkBegan(port_path, connection_speed, is_under_way):
            beginning = "link joined while under way" if is_under_way else "link opened"
            return f"{beginning} at {port_path}, {connection_speed} bit/s"
        case LinkEnded(reason):
            return f"link ended: {reason}"
        case OtherPacket(packet):
            return describe(packet)
        case UnreadableSegment(reason, payload):
            return f"{reason}: {shown_bytes(payload)}"
        case BytesSkipped(count):
            return f"{count} bytes passed over"
        case BytesLeft(count):
            return f"{count} bytes of no whole packet"
        case FramingLost(reason):
            return f"framing lost: {reason}"
        case LinesDropped(count):
            return f"{count} lines dropped: they are read too slowly"
        case _:
            assert_never(event)


def event_payload(event: LinkEvent) -> bytes | memoryview:
    """What crossed, of events that are packets."""
    match event:
        case OtherPacket(packet):
            return packet.payload
        case UnreadableSegment(_, payload):
            return payload
        case _:
            return b""
