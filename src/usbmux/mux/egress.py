"""What goes out on one link, and in which order: the link's own, resets, acknowledgements, then data in fair turns."""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from usbmux.errors import LocalProtocolError
from usbmux.mux.connection import TcpConnection
from usbmux.mux.handshake import OFFER
from usbmux.mux.link_count import LinkCount
from usbmux.mux.packet import SETUP_PAYLOAD, MuxProtocol
from usbmux.mux.packet_encoder import PacketEncoder
from usbmux.mux.segment import Segment
from usbmux.mux.settings import MuxSettings
from usbmux.mux.stray_resets import StrayResets
from usbmux.mux.turns import Turns


class Egress:
    """From one handshake to the next; begins with the offer of a version.

    Args:
        received: What the phone counts.
        control_sent: Called for a connection whose SYN, acknowledgement or reset is going out.
    """

    def __init__(
        self, settings: MuxSettings, received: LinkCount, *, control_sent: Callable[[TcpConnection], None]
    ) -> None:
        self._settings: Final = settings
        self._received: Final = received
        self._control_sent: Final = control_sent
        self._encoder = PacketEncoder(1, received, settings.max_packet_length)
        self.headers_length = self._encoder.headers_length
        """Of what goes before the data of a segment, in bytes."""
        self._link_packets = deque([OFFER])
        self._stray_resets: Final = StrayResets(settings.receive_window)
        self._control_turns: Final[OrderedDict[TcpConnection, None]] = OrderedDict()
        self._data_turns: Final = Turns[TcpConnection]()
        self.may_have_packet = True
        """Whether something is queued, though `next_packet` may find that it is not due any more."""
        self.granted: TcpConnection | None = None
        """Whose turn it is, if it has said by `offer` that it has data; to be cleared by whoever has told it."""

    def next_packet(self) -> bytes | None:
        """Remove and return the packet that goes out now, if any; None also if `granted` is set."""
        if self._link_packets:
            packet: bytes | None = self._link_packets.popleft()
        elif self._stray_resets.waiting:
            packet = self._encoder.encode_segment(self._stray_resets.take())
        elif self._control_turns and (segment := self._next_control_segment()) is not None:
            packet = self._encoder.encode_segment(segment)
        else:
            packet = self._next_data_packet()
        self.may_have_packet = bool(
            self._control_turns or self._data_turns.waiting or self._link_packets or self._stray_resets.waiting
        )
        return packet

    # The link's own.

    def repeat_offer(self) -> None:
        """Offer a version once more."""
        self.may_have_packet = True
        self._link_packets.append(OFFER)

    @property
    def offer_is_sent(self) -> bool:
        """Whether no offer waits."""
        return not self._link_packets

    def use_version(self, version: int, *, is_late: bool) -> None:
        """Begin to talk in the version that was agreed.

        Args:
            version: Of the framing.
            is_late: Whether an offer may wait, which would make the phone begin anew behind SETUP.
        """
        if is_late:
            self._link_packets.clear()
        self._encoder = PacketEncoder(version, self._received, self._settings.max_packet_length)
        self.headers_length = self._encoder.headers_length
        if version >= 2:
            self.may_have_packet = True
            self._link_packets.append(self._encoder.encode_packet(MuxProtocol.SETUP, SETUP_PAYLOAD))

    def answer_stray(self, segment: Segment) -> bool:
        """See `StrayResets.answer`."""
        self.may_have_packet = True
        return self._stray_resets.answer(segment)

    # Those of connections.

    def plan(self, connection: TcpConnection) -> None:
        """Queue the connection for what it wants to send, behind those that wait already."""
        if connection.wants_control:
            self._control_turns.setdefault(connection)
            self.may_have_packet = True
        if connection.queue.length:
            self.plan_data(connection)

    def plan_data(self, connection: TcpConnection) -> None:
        """As `plan`, for one that wants to send data and nothing else."""
        if count := connection.sendable:
            self.may_have_packet = True
            longest = self._encoder.max_payload
            self._data_turns.join(connection, count if count < longest else longest)

    def offer(self, connection: TcpConnection, count: int) -> None:
        """See `MuxSession.offer`."""
        longest = self._encoder.max_payload
        connection.offered = count = count if count < longest else longest
        self.may_have_packet = True
        self._data_turns.join(connection, count)

    def forget(self, connection: TcpConnection) -> None:
        """It has ended: what it wants to send is nothing, or a reset."""
        self._data_turns.forget(connection)
        if not connection.wants_control:
            self._control_turns.pop(connection, None)
        if self.granted is connection:
            self.granted = None

    def pass_by(self, connection: TcpConnection, buffer: memoryview, count: int) -> int:
        """See `MuxSession.send_at_once`."""
        is_granted = self.granted is connection
        may_pass = is_granted or not (self.may_have_packet or self.granted)
        if not may_pass or not 0 < count <= self._encoder.max_payload or connection.queue.length:
            raise LocalProtocolError(f"{connection}: {count} bytes cannot be sent at once")
        seq = connection.send_now(count)
        if is_granted:
            self.granted = None
            self._data_turns.spend(connection, count)
        else:
            self._data_turns.spend_alone(connection, count)
        return self._encoder.encode_headers(buffer, connection, seq, count)

    def _next_control_segment(self) -> Segment | None:
        while self._control_turns:
            connection, _ = self._control_turns.popitem(last=False)
            if (segment := connection.control_segment()) is not None:
                self._control_sent(connection)
                return segment
        return None

    def _next_data_packet(self) -> bytes | None:
        while (connection := self._data_turns.next()) is not None:
            if not connection.queue.length:
                connection.offered = 0
                self.granted = connection
                return None
            if (taken := connection.take_data(self._encoder.max_payload)) is not None:
                seq, data = taken
                self._data_turns.spend(connection, len(data))
                if connection.queue.length:
                    self.plan_data(connection)
                elif connection.offered:
                    self._data_turns.join(connection, connection.offered)
                return self._encoder.encode_data(connection, seq, data)
        return None
