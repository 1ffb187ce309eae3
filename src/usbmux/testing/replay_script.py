"""A recorded link as a script: each packet of the phone, and how far the host had come when it arrived."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from usbmux.capture.recording import RecordedLink
from usbmux.capture.transcript import BytesSkipped, Direction, FramingLost, PacketSeen, Transcript, describe
from usbmux.errors import RemoteProtocolError
from usbmux.mux.packet import MuxProtocol
from usbmux.mux.segment import Flags, Segment, seq_add, seq_diff, seq_le
from usbmux.values import frozen


@frozen
class HostProgress:
    """How far the host was with a connection after a packet of its own."""

    transfer: int
    """Number of the transfer that brought it here."""
    sent: int
    """In bytes of the stream."""
    is_reset: bool
    """Whether the host had reset it."""
    right_edge: int
    """First sequence number beyond its window."""


@dataclass(eq=False, slots=True)
class RecordedConnection:
    """What the host did with a connection."""

    phone_port: int
    host_port: int
    first_seq: int
    sent: bytearray = field(default_factory=bytearray)
    """Everything that the host sent."""
    progress: list[HostProgress] = field(default_factory=list)

    def follow(self, transfer: int, segment: Segment) -> None:
        """The host's next segment; what it repeats or leaves out shows in a replay as a departure."""
        is_reset = bool(segment.flags & Flags.RST)
        if not is_reset:
            self.sent += segment.payload
        right_edge = seq_add(segment.ack, segment.window)
        self.progress.append(HostProgress(transfer, len(self.sent), is_reset, right_edge))

    def progress_before(self, transfer: int) -> HostProgress:
        """How far the host was when that transfer began."""
        index = bisect_left(self.progress, transfer, key=lambda step: step.transfer)
        return self.progress[max(0, index - 1)]


@frozen
class PhonePacket:
    """A packet of the phone, or bytes that are none, and what it waits for."""

    transfer: int
    """Number of the transfer in which it begins, among all of the link from 0."""
    data: bytes
    cuts: tuple[int, ...]
    """Where in `data` transfers end."""
    framing: int
    """Version of its header; 0: it has none."""
    link_packets: int
    """How many packets outside of connections the host had sent."""
    segment: Segment | None = None
    connection: RecordedConnection | None = None
    progress: HostProgress | None = None
    """How far the host was with the connection."""

    @property
    def fits_window(self) -> bool:
        """Whether the phone kept the host's window when it sent this."""
        if self.segment is None or self.progress is None:
            return False
        return seq_le(seq_add(self.segment.seq, len(self.segment.payload)), self.progress.right_edge)


@frozen
class ReplayScript:
    """What a link was, from its beginning."""

    packets: list[PhonePacket]
    """The phone's, in order."""
    connections: list[RecordedConnection]
    """In the order of their SYNs."""
    link_packets: list[str]
    """What the host sent outside of connections, in words."""


def read_script(link: RecordedLink) -> ReplayScript:
    """Read a recorded link.

    Raises:
        RemoteProtocolError: Of the host's segments one cannot be read.
    """
    return _ScriptReader(link).read()


class _ScriptReader:
    def __init__(self, link: RecordedLink) -> None:
        self._link = link
        self._transcript = Transcript()
        self._script = ReplayScript([], [], [])
        self._link_steps: list[int] = []
        """Numbers of the transfers with the host's link packets."""
        self._by_ports: dict[tuple[int, int], RecordedConnection] = {}
        self._stream = bytearray()
        """What the phone sent and no packet has taken yet."""
        self._ends: list[tuple[int, int]] = []
        """Where in it transfers end, and their numbers."""

    def read(self) -> ReplayScript:
        for number, transfer in enumerate(self._link.transfers):
            if transfer.direction is Direction.OUT:
                for entry in self._transcript.send(transfer.data):
                    if isinstance(entry, PacketSeen):
                        self._read_sent(number, entry)
            else:
                self._stream += transfer.data
                self._ends.append((len(self._stream), number))
                for entry in self._transcript.receive(transfer.data):
                    self._read_received(entry)
        if self._stream:
            self._take(len(self._stream), 0, None)
        return self._script

    def _read_sent(self, number: int, seen: PacketSeen) -> None:
        if seen.packet.protocol != MuxProtocol.TCP:
            self._script.link_packets.append(describe(seen.packet))
            self._link_steps.append(number)
            return
        try:
            segment = Segment.decode(seen.packet.payload)
        except RemoteProtocolError as error:  # what the phone said to it cannot be told from what it said before
            raise RemoteProtocolError(f"transfer {number}: the host's {error}") from error
        ports = segment.source_port, segment.destination_port
        if segment.flags & Flags.SYN:
            self._by_ports[ports] = RecordedConnection(segment.destination_port, segment.source_port, segment.seq)
            self._script.connections.append(self._by_ports[ports])
        if ports in self._by_ports:
            self._by_ports[ports].follow(number, segment)

    def _read_received(self, entry: PacketSeen | BytesSkipped | FramingLost) -> None:
        match entry:
            case PacketSeen(packet, framing):
                segment: Segment | None = None
                if packet.protocol == MuxProtocol.TCP:
                    segment = _decode(bytes(packet.payload))
                self._take(entry.length, 0 if packet.protocol == MuxProtocol.VERSION else framing, segment)
            case BytesSkipped(count):
                self._take(count, 0, None)
            case FramingLost():
                pass  # the bytes come with the next answer to VERSION, or at the end

    def _take(self, length: int, framing: int, segment: Segment | None) -> None:
        data = bytes(self._stream[:length])
        transfer = next(number for end, number in self._ends if end > 0)
        connection = self._by_ports.get((segment.destination_port, segment.source_port)) if segment else None
        packet = PhonePacket(
            transfer,
            data,
            tuple(end for end, _number in self._ends if end <= length),
            framing,
            bisect_left(self._link_steps, transfer),
            segment,
            connection,
            connection.progress_before(transfer) if connection else None,
        )
        self._script.packets.append(packet)
        del self._stream[:length]
        self._ends = [(end - length, number) for end, number in self._ends if end > length]


def _decode(payload: bytes) -> Segment | None:
    try:
        return Segment.decode(payload)
    except RemoteProtocolError:
        return None


def stream_offset(segment: Segment, first_seq: int) -> int:
    """Where in the host's stream the payload begins."""
    return seq_diff(segment.seq, seq_add(first_seq, 1))


def unplayed_bytes(packets: Iterator[PhonePacket], connection: RecordedConnection) -> int:
    """How much of a connection's data is in packets that the phone sent before the host reset it."""
    return sum(
        len(packet.segment.payload)
        for packet in packets
        if packet.connection is connection
        and packet.segment is not None
        and packet.progress is not None
        and not packet.progress.is_reset
    )
