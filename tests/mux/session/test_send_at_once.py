"""To send at once is an abbreviation: a session that queues everything sends the same packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mux.outcome import Outcome
from tests.mux.wire import PHONE_WINDOW, Wire
from usbmux.mux.tcp_state import TcpState

if TYPE_CHECKING:
    from usbmux.mux.connection import TcpConnection

LONGEST = 0xBFFC - 36


@dataclass(frozen=True)
class Turn:
    """What a client does, and what the phone does then."""

    connection: int
    count: int
    phone_sends: int
    client_takes: bool
    acknowledged: bool
    window: int
    packets_taken: int
    """How many packets the transport takes afterwards."""
    has_slot: bool
    ends: bool


TURNS = st.lists(
    st.builds(
        Turn,
        connection=st.integers(0, 2),
        count=st.sampled_from([0, 1, 64, 1000, LONGEST, LONGEST + 1, 70000]),
        phone_sends=st.sampled_from([0, 1, 30000]),
        client_takes=st.booleans(),
        acknowledged=st.booleans(),
        window=st.sampled_from([0, 512, PHONE_WINDOW]),
        packets_taken=st.integers(0, 3),
        has_slot=st.booleans(),
        ends=st.sampled_from([False, False, False, True]),
    ),
    max_size=15,
)


def content(count: int) -> bytes:
    """Data of a client."""
    return (bytes(range(256)) * (count // 256 + 1))[:count]


def sent_at_once(wire: Wire, connection: TcpConnection, data: bytes) -> bytes | None:
    """The packet, if nothing goes before and one takes it all."""
    egress, session = wire.session.egress, wire.session
    first = egress.headers_length
    if egress.may_have_packet or connection.queue.length or len(data) > 0xBFFC - first:
        return None
    buffer = memoryview(bytearray(first) + data)
    return bytes(buffer[: session.send_at_once(connection, buffer, len(data))])


def outcome(turns: list[Turn], version: int, *, at_once: bool) -> Outcome:
    wire = Wire(version=version)
    wire.shake_hands()
    connections = [wire.establish(22 + index) for index in range(3)]
    outcome = Outcome(wire)
    for turn in turns:
        connection = connections[turn.connection]
        if count := min(turn.count, connection.send_room):
            data = content(count)
            packet = sent_at_once(wire, connection, data) if at_once and turn.has_slot else None
            if packet is not None:
                outcome.packets.append(packet)
            else:
                wire.session.send(connection, data, wire.now)
                if turn.has_slot:
                    outcome.note_packet()
        if turn.ends:
            wire.shutdown_write(connection)
        if connection.state is not TcpState.CLOSED:
            phone_goes_on(wire, connection, turn)
        outcome.note_events()
        for _ in range(turn.packets_taken):
            outcome.note_packet()
    outcome.note_packets()
    wire.advance(100)
    outcome.note_events()
    outcome.note_packets()
    return outcome


def phone_goes_on(wire: Wire, connection: TcpConnection, turn: Turn) -> None:
    room = connection.rcv_wnd - (connection.rcv_nxt - connection.rcv_acked)
    wire.inject(
        seq=connection.rcv_nxt,
        ack=connection.snd_nxt if turn.acknowledged else connection.snd_una,
        window=turn.window,
        payload=bytes(min(turn.phone_sends, room)),
        source=connection.remote_port,
        destination=connection.local_port,
    )
    if turn.client_takes and connection.state is not TcpState.CLOSED:
        wire.acknowledge(connection, connection.rcv_nxt - connection.rcv_taken)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(TURNS, st.sampled_from([1, 2]))
def test_sent_at_once_or_queued_comes_to_the_same(turns: list[Turn], version: int) -> None:
    assert outcome(turns, version, at_once=True) == outcome(turns, version, at_once=False)
