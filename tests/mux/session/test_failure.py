from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import FIRST, PHONE_ISN, PHONE_PORT, SETUP, SYN_ACK, VERSION
from usbmux.errors import LocalProtocolError
from usbmux.mux.events import (
    CloseCause,
    ConnectionClosed,
    ConnectionEstablished,
    HandshakeCompleted,
    PacketIgnored,
    ResynchronisationBegun,
    SessionFailed,
)
from usbmux.mux.segment import Flags
from usbmux.mux.session import SessionState
from usbmux.mux.tcp_state import TcpState

if TYPE_CHECKING:
    from tests.mux.conftest import MakesWire
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection

LOST_FRAMING = "00 00 00 06 00 00 00 0f"


def test_ready_fail_is_reported_before_it_closes_every_connection(wire: Wire) -> None:
    open_one, half_closed, draining = wire.establish(1), wire.establish(2), wire.establish(3)
    syn_sent, syn_due = wire.connect(4), wire.session.connect(5, wire.now)
    wire.shutdown_write(half_closed)
    wire.send(draining, b"unsent")
    wire.close(draining)
    wire.send(open_one, b"unsent")
    wire.session.fail("unplugged", wire.now)
    wire.expect_event(SessionFailed("unplugged"))
    for connection in (open_one, half_closed, draining, syn_sent, syn_due):
        wire.expect_event(ConnectionClosed(connection, CloseCause.LOST, "unplugged"))
        assert connection.state is TcpState.CLOSED
    assert wire.session.deadline is None


def test_ready_fail_drops_the_answers_that_wait(wire: Wire) -> None:
    wire.inject(destination=99)
    assert wire.session.next_event() is not None
    wire.session.fail("unplugged", wire.now)
    wire.expect_event(SessionFailed("unplugged"))


def lose_framing(wire: Wire) -> None:
    """An impossible length, and the new handshake that it leads to."""
    wire.inject_data(bytes.fromhex(LOST_FRAMING))
    wire.expect_event(ResynchronisationBegun(f"mux packet with impossible length 15 ({LOST_FRAMING})"))
    wire.host_tx_seq, wire.host_rx_seq = 0, 0xFFFF


def test_ready_impossible_length_begins_anew_after_the_packets_before_it(
    wire: Wire, established: TcpConnection
) -> None:
    lost = bytes.fromhex(LOST_FRAMING)
    wire.inject_data(wire.segment(payload=b"good") + lost + wire.segment(seq=FIRST + 4, payload=b"never seen"))
    wire.expect_data(established, b"good")
    reason = f"mux packet with impossible length 15 ({LOST_FRAMING} 00 00 00 06 00 00 00 2e)"
    wire.expect_event(ConnectionClosed(established, CloseCause.LOST, reason))
    wire.expect_event(ResynchronisationBegun(reason))
    assert wire.session.state is SessionState.HANDSHAKE
    assert wire.expect_packet() == (VERSION, bytes.fromhex("00000002 00000000 00000000"))
    with pytest.raises(LocalProtocolError, match="cannot connect in state HANDSHAKE"):
        wire.session.connect(22, wire.now)
    wire.inject_packet(VERSION, bytes.fromhex("00000002 00000000 00000000"))
    wire.expect_event(PacketIgnored("54 bytes before VERSION"))
    wire.expect_event(HandshakeCompleted(2))
    wire.host_tx_seq, wire.host_rx_seq = 0, 0xFFFF
    assert wire.expect_packet() == (SETUP, b"\x07")
    wire.connect(PHONE_PORT)


def test_ready_framing_lost_resets_that_wait_are_forgotten(wire: Wire, established: TcpConnection) -> None:
    wire.session.abort(established, "too late", wire.now)
    wire.expect_event(ConnectionClosed(established, CloseCause.ABORTED, "too late"))
    wire.inject(destination=99)
    assert isinstance(wire.session.next_event(), PacketIgnored)
    lose_framing(wire)
    assert wire.expect_packet() == (VERSION, bytes.fromhex("00000002 00000000 00000000"))


def test_ready_framing_lost_with_a_reset_due_a_late_close_does_not_send_it(
    wire: Wire, established: TcpConnection
) -> None:
    wire.session.abort(established, "too late", wire.now)
    wire.expect_event(ConnectionClosed(established, CloseCause.ABORTED, "too late"))
    lose_framing(wire)
    wire.session.close(established, wire.now)
    assert wire.expect_packet() == (VERSION, bytes.fromhex("00000002 00000000 00000000"))
    wire.expect_nothing()
    wire.session.acknowledge(established, 0, wire.now)
    wire.expect_nothing()


def test_ready_framing_lost_with_a_reset_due_its_port_rests(wire: Wire, established: TcpConnection) -> None:
    wire.session.abort(established, "too late", wire.now)
    wire.expect_event(ConnectionClosed(established, CloseCause.ABORTED, "too late"))
    lose_framing(wire)
    wire.host_tx_seq, wire.host_rx_seq = 0, 0xFFFF
    assert wire.expect_packet()[0] == VERSION
    wire.inject_packet(VERSION, bytes.fromhex("00000002 00000000 00000000"))
    wire.expect_event(PacketIgnored("8 bytes before VERSION"))
    wire.expect_event(HandshakeCompleted(2))
    assert wire.expect_packet() == (SETUP, b"\x07")
    wire.advance(9.9)
    wire.inject(payload=b"crossed")
    wire.expect_nothing()
    wire.advance(0.1)
    wire.inject(payload=b"late")
    assert isinstance(wire.session.next_event(), PacketIgnored)
    wire.expect(flags=Flags.RST, ack=FIRST + 4)


def test_ready_framing_lost_for_the_fourth_time_fails(wire: Wire) -> None:
    for _ in range(3):
        lose_framing(wire)
        assert wire.expect_packet() == (VERSION, bytes.fromhex("00000002 00000000 00000000"))
        wire.inject_packet(VERSION, bytes.fromhex("00000002 00000000 00000000"))
        wire.expect_event(PacketIgnored("8 bytes before VERSION"))
        wire.expect_event(HandshakeCompleted(2))
        assert wire.expect_packet() == (SETUP, b"\x07")
    wire.inject_data(bytes.fromhex(LOST_FRAMING))
    wire.expect_event(SessionFailed(f"mux packet with impossible length 15 ({LOST_FRAMING})"))


def test_ready_framing_lost_and_version_unanswered_fails(wire: Wire) -> None:
    lose_framing(wire)
    assert wire.expect_packet() == (VERSION, bytes.fromhex("00000002 00000000 00000000"))
    wire.now += 5.0
    wire.session.handle_timer(wire.now)
    wire.expect_event(SessionFailed("no answer to VERSION within 5 s"))


def test_ready_rest_of_a_packet_does_not_come_begins_anew(wire: Wire, established: TcpConnection) -> None:
    packet = wire.segment(payload=b"x" * 100)
    wire.inject_data(packet[:50])
    wire.advance(1.999)
    wire.expect_nothing()
    wire.advance(0.001)
    wire.expect_closed(established, CloseCause.LOST, "the rest of a packet did not come within 2 s")
    event = wire.session.next_event()
    assert isinstance(event, ResynchronisationBegun)
    assert wire.expect_packet() == (VERSION, bytes.fromhex("00000002 00000000 00000000"))
    wire.advance(5)
    assert isinstance(wire.session.next_event(), SessionFailed)


def test_ready_rest_of_a_packet_comes_in_time_all_is_well(wire: Wire, established: TcpConnection) -> None:
    first, second = wire.segment(payload=b"x" * 20), wire.segment(seq=FIRST + 20, payload=b"second")
    wire.inject_data(first[:50])
    wire.advance(1.5)
    wire.inject_data(first[50:] + second[:10])  # the time begins anew for the next packet
    wire.expect_data(established, b"x" * 20)
    wire.advance(1.5)
    wire.inject_data(second[10:])
    wire.expect_data(established, b"second")
    wire.advance(100)
    wire.expect_nothing()


def test_ready_packet_goes_on_in_drops_its_time_does_not_begin_anew(wire: Wire, established: TcpConnection) -> None:
    packet = wire.segment(payload=b"x" * 100)
    for start in range(0, 40, 10):
        wire.inject_data(packet[start : start + 10])
        wire.advance(0.5)
    wire.expect_closed(established, CloseCause.LOST, "did not come within 2 s")
    assert isinstance(wire.session.next_event(), ResynchronisationBegun)
    assert wire.expect_packet() == (VERSION, bytes.fromhex("00000002 00000000 00000000"))
    wire.session.fail("enough", wire.now)
    assert isinstance(wire.session.next_event(), SessionFailed)


def test_ready_packet_missing_on_the_link_ends_every_connection(wire: Wire, established: TcpConnection) -> None:
    other = wire.connect(80)
    wire.inject()
    wire.inject()
    wire.phone_tx_seq += 1
    gap = f"expected packet {wire.phone_tx_seq + 0} of the link, got {wire.phone_tx_seq + 1}"
    wire.inject(payload=b"behind the gap")
    wire.expect_event(PacketIgnored(gap))
    wire.expect_closed(established, CloseCause.VIOLATED, gap)
    wire.expect_closed(other, CloseCause.VIOLATED, gap)
    wire.expect(flags=Flags.RST, seq=1, payload=gap.encode())
    wire.expect(flags=Flags.RST, seq=1, ack=0, destination=80, source=2, payload=gap.encode())
    wire.establish(PHONE_PORT)


def test_ready_phone_that_does_not_count_is_let_be(make_wire: MakesWire) -> None:
    wire = make_wire()
    wire.shake_hands()
    wire.phone_tx_seq = -1
    connection = wire.connect(PHONE_PORT)
    wire.phone_tx_seq = -1
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN, destination=connection.local_port)
    wire.expect_event(ConnectionEstablished(connection))
    wire.expect(ack=FIRST)
    for _ in range(3):
        wire.phone_tx_seq = -1
        wire.inject()
    assert connection.state is TcpState.ESTABLISHED


def test_failed_nothing_is_sent_and_nothing_is_heard(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"data")
    wire.session.fail("unplugged", wire.now)
    wire.expect_event(SessionFailed("unplugged"))
    wire.expect_event(ConnectionClosed(established, CloseCause.LOST, "unplugged"))
    wire.inject(payload=b"data")
    wire.close(established)
    wire.abort(established, "late")
    wire.shutdown_write(established)
    wire.session.fail("again", wire.now)
    wire.advance(100)
    wire.session.handle_timer(wire.now)


def test_failed_with_a_reset_due_a_late_close_does_not_send_it(wire: Wire, established: TcpConnection) -> None:
    wire.abort(established, "stop")
    wire.expect_closed(established, CloseCause.ABORTED, "stop")
    wire.session.fail("unplugged", wire.now)
    wire.expect_event(SessionFailed("unplugged"))
    wire.close(established)


def test_failed_connect_is_refused(wire: Wire) -> None:
    wire.session.fail("unplugged", wire.now)
    wire.expect_event(SessionFailed("unplugged"))
    with pytest.raises(LocalProtocolError, match="cannot connect in state FAILED"):
        wire.session.connect(PHONE_PORT, wire.now)


def test_failed_send_is_refused(wire: Wire, established: TcpConnection) -> None:
    wire.session.fail("unplugged", wire.now)
    wire.expect_event(SessionFailed("unplugged"))
    wire.expect_event(ConnectionClosed(established, CloseCause.LOST, "unplugged"))
    assert established.send_room == 0
    with pytest.raises(LocalProtocolError, match="1 > 62078 CLOSED: 1 bytes do not fit into send room 0"):
        wire.send(established, b"x")
