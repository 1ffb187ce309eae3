"""What the headers of a packet acknowledge counts before the rest of it is there."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mux.outcome import Outcome
from tests.mux.turn import ODD, ORDINARY, Turn, packets_of
from tests.mux.wire import FIRST, PHONE_WINDOW, Wire
from usbmux.mux.events import CloseCause, SendRoomOpened
from usbmux.mux.segment import Flags

if TYPE_CHECKING:
    from usbmux.mux.connection import TcpConnection

FIRST_READ = 16384
LONG = bytes(range(256)) * 200


def full() -> tuple[Wire, TcpConnection]:
    """A connection whose client has filled the window of the phone."""
    wire = Wire()
    wire.shake_hands()
    connection = wire.establish(window=512)
    wire.expect_at_once(connection, bytes(512))
    assert connection.send_room == 0
    return wire, connection


def test_headers_have_come_there_is_room_again_before_the_rest() -> None:
    wire, connection = full()
    packet = wire.segment(ack=513, window=512, payload=LONG)
    wire.inject_data(packet[:FIRST_READ])
    wire.expect_event(SendRoomOpened(connection))
    wire.expect_nothing()
    assert (connection.send_room, connection.rcv_nxt) == (512, FIRST)

    wire.inject_data(packet[FIRST_READ:])
    wire.expect_data(connection, LONG)
    wire.expect_nothing()
    assert (connection.send_room, connection.rcv_nxt) == (512, FIRST + len(LONG))


def test_sent_meanwhile_it_counts_against_the_new_window(wire: Wire) -> None:
    connection = wire.establish(window=512)
    wire.expect_at_once(connection, bytes(512))
    packet = wire.segment(ack=513, window=512, payload=LONG)
    wire.inject_data(packet[:FIRST_READ])
    wire.expect_event(SendRoomOpened(connection))
    wire.session.send(connection, bytes(500), wire.now)
    # The packet that is still coming was not received: the last one before it is what the phone is told of.
    wire.host_rx_seq = wire.phone_tx_seq - 1
    wire.expect(seq=513, payload=bytes(500))

    wire.inject_data(packet[FIRST_READ:])
    wire.host_rx_seq = wire.phone_tx_seq
    wire.expect_data(connection, LONG)
    assert (connection.snd_una, connection.send_room) == (513, 12)


def test_headers_have_come_what_was_queued_goes_out_before_the_rest(wire: Wire) -> None:
    connection = wire.establish(window=512)
    wire.send(connection, bytes(512))
    wire.inject(window=256)
    wire.expect(payload=bytes(256))
    packet = wire.segment(ack=257, window=256, payload=LONG)
    wire.inject_data(packet[:FIRST_READ])
    wire.host_rx_seq = wire.phone_tx_seq - 1
    wire.expect(seq=257, payload=bytes(256))
    wire.inject_data(packet[FIRST_READ:])
    wire.expect_data(connection, LONG)


@pytest.mark.parametrize(
    "odd",
    [
        {"seq": FIRST + 1},
        {"flags": Flags.ACK | Flags.PSH},
        {"flags": Flags.RST},
        {"ack": 514},
        {"source": 23},
        {"destination": 7},
    ],
    ids=str,
)
def test_what_is_odd_is_decided_on_when_it_is_whole(odd: dict[str, Any]) -> None:
    wire, connection = full()
    packet = wire.segment(**{"ack": 513, "window": 512, "payload": LONG, **odd})
    wire.inject_data(packet[:FIRST_READ])
    wire.expect_nothing()
    assert (connection.is_established, connection.snd_una) == (True, 1)

    wire.inject_data(packet[FIRST_READ:])
    assert connection.snd_una == 1


@pytest.mark.parametrize("place", [3, 13, 28], ids=["protocol", "packet of the link", "data offset"])
def test_headers_are_damaged_nothing_is_taken(place: int) -> None:
    wire, connection = full()
    packet = bytearray(wire.segment(ack=513, window=512, payload=LONG))
    packet[place] ^= 0x20
    wire.inject_data(bytes(packet[:FIRST_READ]))
    wire.expect_nothing()
    assert connection.snd_una == 1


@pytest.mark.parametrize("cuts", [(1,), (8,), (20,), (35,), (7, 16, 30)], ids=str)
def test_headers_come_in_parts_there_is_room_again_with_the_last_of_them(cuts: tuple[int, ...]) -> None:
    wire, connection = full()
    packet = wire.segment(ack=513, window=512, payload=LONG)
    for begin, end in pairwise((0, *cuts)):
        wire.inject_data(packet[begin:end])
        wire.expect_nothing()

    wire.inject_data(packet[cuts[-1] : FIRST_READ])
    wire.expect_event(SendRoomOpened(connection))
    wire.expect_nothing()

    wire.inject_data(packet[FIRST_READ:])
    wire.expect_data(connection, LONG)
    wire.expect_nothing()


def test_headers_come_late_the_rest_is_waited_for_since_the_packet_began() -> None:
    wire, connection = full()
    packet = wire.segment(ack=513, window=512, payload=LONG)
    wire.inject_data(packet[:20])
    wire.advance(1.5)
    wire.inject_data(packet[20:FIRST_READ])
    wire.expect_event(SendRoomOpened(connection))

    wire.advance(0.5)
    wire.expect_closed(connection, CloseCause.LOST, "the rest of a packet did not come within 2 s")


def outcome(turns: list[Turn], *cuts: int) -> Outcome:
    """What a session makes of packets that come in parts."""
    wire = Wire()
    wire.shake_hands()
    connections = [wire.establish(22), wire.establish(23)]
    for connection in connections:
        wire.expect_at_once(connection, bytes(10))
    outcome = Outcome(wire)
    for _turn, packet in packets_of(turns, connections, wire.phone_tx_seq):
        for begin, end in pairwise((0, *cuts, len(packet))):
            wire.inject_data(packet[begin:end])
        outcome.note_events()
        outcome.note_packets()
    wire.advance(100)
    outcome.note_events()
    outcome.note_packets()
    return outcome


@settings(derandomize=True, max_examples=250, deadline=None)
@given(st.lists(st.one_of(ORDINARY, ORDINARY, ORDINARY, ODD), max_size=12), st.sampled_from([(36,), (20, 36), (35,)]))
def test_in_parts_or_whole_comes_to_the_same(turns: list[Turn], cuts: tuple[int, ...]) -> None:
    """But for a packet that is too long for our window: what it acknowledges is known before that is."""
    turns = [turn for turn in turns if turn.damage is None and len(turn.payload) <= PHONE_WINDOW // 2]
    assert outcome(turns, *cuts) == outcome(turns)
