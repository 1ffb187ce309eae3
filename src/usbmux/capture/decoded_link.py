"""A link's transfers, decoded for whoever writes packets down."""

from typing import Protocol, assert_never

from usbmux.capture.link_event import BytesLeft, LinkBegan, LinkEnded, LinkEvent, OtherPacket, UnreadableSegment
from usbmux.capture.transcript import BytesSkipped, Direction, Entry, FramingLost, PacketSeen, Transcript, shown_text
from usbmux.errors import RemoteProtocolError
from usbmux.mux.packet import MuxProtocol, Packet
from usbmux.mux.segment import Segment
from usbmux.usb.pipe import UsbDeviceInfo


class PacketSink(Protocol):
    """Who writes packets down. Times are in nanoseconds since 1970; payloads are valid during the call."""

    def segment_seen(self, direction: Direction, segment: Segment, seen: PacketSeen, time_ns: int) -> None:
        """A TCP packet crossed."""

    def event_seen(self, direction: Direction | None, event: LinkEvent, time_ns: int) -> None:
        """Anything else happened; without a direction it did not cross the link."""


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
        sink.event_seen(None, LinkBegan(info.port_path, info.connection_speed, is_under_way), time_ns)

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
            self._sink.event_seen(Direction.IN, BytesLeft(self._transcript.untold), time_ns)
        self._sink.event_seen(None, LinkEnded(shown_text(reason)), time_ns)

    def _tell(self, direction: Direction, entry: Entry, time_ns: int) -> None:
        match entry:
            case PacketSeen(packet, _) if packet.protocol == MuxProtocol.TCP:
                self._tell_segment(direction, entry, packet, time_ns)
            case PacketSeen(packet, _):
                self._sink.event_seen(direction, OtherPacket(packet), time_ns)
            case BytesSkipped() | FramingLost():
                self._sink.event_seen(direction, entry, time_ns)
            case _:
                assert_never(entry)

    def _tell_segment(self, direction: Direction, seen: PacketSeen, packet: Packet, time_ns: int) -> None:
        try:
            segment = Segment.decode(packet.payload)
        except RemoteProtocolError as error:
            self._sink.event_seen(direction, UnreadableSegment(str(error), packet.payload), time_ns)
        else:
            self._sink.segment_seen(direction, segment, seen, time_ns)
