"""A link's transfers, decoded for whoever writes packets down."""

from typing import Protocol, assert_never

from usbmux.capture.transcript import (
    BytesSkipped,
    Direction,
    Entry,
    FramingLost,
    PacketSeen,
    Transcript,
    describe,
    shown_bytes,
    shown_text,
)
from usbmux.errors import RemoteProtocolError
from usbmux.mux.packet import MuxProtocol, Packet
from usbmux.mux.segment import Segment
from usbmux.usb.pipe import UsbDeviceInfo


class PacketSink(Protocol):
    """Who writes packets down. Times are in nanoseconds since 1970; payloads are valid during the call."""

    def segment_seen(self, direction: Direction, segment: Segment, seen: PacketSeen, time_ns: int) -> None:
        """A TCP packet crossed."""

    def event_seen(self, direction: Direction | None, text: str, time_ns: int, data: bytes = b"") -> None:
        """Anything else happened.

        Args:
            direction: None: it did not cross the link.
            text: What it was, in one line of printable characters.
            time_ns: When.
            data: What crossed.
        """


class DecodedLink:
    """A `LinkSink` that tells a `PacketSink` what the transfers say.

    Args:
        sink: Who is told.
        info: Who the phone is.
        time_ns: When the link was opened or joined, of which the sink is told first.
        is_under_way: It was joined.
    """

    def __init__(self, sink: PacketSink, info: UsbDeviceInfo, time_ns: int, *, is_under_way: bool = False) -> None:
        self._sink = sink
        self._transcript = Transcript(is_under_way=is_under_way)
        beginning = "link joined while under way" if is_under_way else "link opened"
        sink.event_seen(None, f"{beginning} at {info.port_path}, {info.connection_speed} bit/s", time_ns)

    def sent(self, packet: bytes, time_ns: int) -> None:
        """See `LinkSink`."""
        for entry in self._transcript.send(packet):
            self._tell(Direction.OUT, entry, time_ns)

    def received(self, data: bytes | memoryview, time_ns: int) -> None:
        """See `LinkSink`."""
        for entry in self._transcript.receive(data):
            self._tell(Direction.IN, entry, time_ns)

    def ended(self, reason: str, time_ns: int) -> None:
        """See `LinkSink`."""
        if self._transcript.untold:
            self._sink.event_seen(Direction.IN, f"{self._transcript.untold} bytes of no whole packet", time_ns)
        self._sink.event_seen(None, f"link ended: {shown_text(reason)}", time_ns)

    def _tell(self, direction: Direction, entry: Entry, time_ns: int) -> None:
        match entry:
            case PacketSeen(packet, _) if packet.protocol == MuxProtocol.TCP:
                self._tell_segment(direction, entry, packet, time_ns)
            case PacketSeen(packet, _):
                self._sink.event_seen(direction, describe(packet), time_ns, bytes(packet.payload))
            case BytesSkipped(count):
                self._sink.event_seen(direction, f"{count} bytes passed over", time_ns)
            case FramingLost(reason):
                self._sink.event_seen(direction, f"framing lost: {reason}", time_ns)
            case _:
                assert_never(entry)

    def _tell_segment(self, direction: Direction, seen: PacketSeen, packet: Packet, time_ns: int) -> None:
        try:
            segment = Segment.decode(packet.payload)
        except RemoteProtocolError as error:
            self._sink.event_seen(direction, f"{error}: {shown_bytes(packet.payload)}", time_ns, bytes(packet.payload))
        else:
            self._sink.segment_seen(direction, segment, seen, time_ns)
