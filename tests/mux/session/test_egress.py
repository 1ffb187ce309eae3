from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import CONTROL, FIRST, OUR_WINDOW, PHONE_PORT, SETUP, VERSION
from usbmux.mux.events import CloseCause, DeviceMessage, HandshakeCompleted, PacketIgnored
from usbmux.mux.segment import MAX_WINDOW, Flags
from usbmux.mux.settings import MuxSettings

if TYPE_CHECKING:
    from tests.mux.conftest import MakesWire
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection

MAX_PACKET = 49148
MAX_PAYLOAD_V2 = MAX_PACKET - 16 - 20
MAX_PAYLOAD_V1 = MAX_PACKET - 8 - 20


# Who is next (M14).


def test_egress_order_is_handshake_resets_control_data(make_wire: MakesWire) -> None:
    wire = make_wire()
    assert wire.expect_packet()[0] == VERSION
    wire.inject_packet(VERSION, b"\0\0\0\x02" + bytes(8))
    wire.expect_event(HandshakeCompleted(2))
    wire.inject(destination=99, seq=500)
    assert isinstance(wire.session.next_event(), PacketIgnored)
    wire.session.connect(22, wire.now)
    wire.host_rx_seq = 0xFFFF  # SETUP was stamped before the stray segment came
    assert wire.expect_packet() == (SETUP, b"\x07")
    wire.host_rx_seq = wire.phone_tx_seq
    wire.expect(flags=Flags.RST, source=99, seq=1, ack=500)
    wire.expect(flags=Flags.SYN, seq=0, ack=0, destination=22)
    wire.advance(3.5)
    assert wire.session.next_event() is not None


def test_egress_control_of_all_connections_goes_before_data_in_order_of_asking(wire: Wire) -> None:
    sender, taker, aborted = wire.establish(1), wire.establish(2), wire.establish(3)
    wire.send(sender, b"data")
    wire.inject(source=2, destination=2, payload=bytes(OUR_WINDOW // 4))
    wire.expect_data(taker, bytes(OUR_WINDOW // 4))
    wire.abort(aborted, "stop")
    wire.expect_closed(aborted, CloseCause.ABORTED, "stop")
    wire.acknowledge(taker, OUR_WINDOW // 4)
    opened = wire.session.connect(4, wire.now)
    wire.inject(destination=99, seq=500)
    assert isinstance(wire.session.next_event(), PacketIgnored)
    wire.expect(flags=Flags.RST, source=99, seq=1, ack=500)
    wire.expect(flags=Flags.RST, source=3, destination=3, payload=b"stop")
    wire.expect(source=2, destination=2, ack=FIRST + OUR_WINDOW // 4)
    wire.expect(flags=Flags.SYN, source=opened.local_port, destination=4, seq=0, ack=0)
    wire.expect(source=1, destination=1, payload=b"data")


def test_egress_data_takes_turns_of_one_packet(make_wire: MakesWire) -> None:
    wire = make_wire(MuxSettings(max_packet_length=16 + 20 + 4))
    wire.shake_hands()
    first, second, third = wire.establish(1), wire.establish(2), wire.establish(3)
    wire.send(first, b"11112222333")
    wire.send(second, b"aaaa")
    wire.send(third, b"xxxxyy")
    wire.expect(source=1, destination=1, seq=1, payload=b"1111")
    wire.expect(source=2, destination=2, seq=1, payload=b"aaaa")
    wire.send(second, b"bb")
    wire.expect(source=3, destination=3, seq=1, payload=b"xxxx")
    wire.expect(source=2, destination=2, seq=5, payload=b"bb")
    wire.expect(source=3, destination=3, seq=5, payload=b"yy")
    wire.expect(source=1, destination=1, seq=5, payload=b"2222")
    wire.expect(source=1, destination=1, seq=9, payload=b"333")


def test_egress_connection_without_window_does_not_hold_up_others(wire: Wire) -> None:
    stuck, free = wire.establish(1, window=256), wire.establish(2)
    wire.send(stuck, bytes(256))
    wire.inject(source=1, window=0)
    wire.send(free, b"free")
    wire.expect(source=2, destination=2, payload=b"free")


def test_egress_connection_closed_while_it_waits_for_its_turn_is_skipped(wire: Wire) -> None:
    gone, other = wire.establish(1), wire.establish(2)
    wire.send(gone, b"gone")
    wire.send(other, b"other")
    wire.inject(source=1, flags=Flags.RST)
    wire.expect_closed(gone, CloseCause.RESET)
    wire.expect(source=2, destination=2, payload=b"other")


def test_egress_syn_that_was_not_sent_before_its_end_is_skipped(wire: Wire) -> None:
    gone = wire.session.connect(1, wire.now)
    wire.close(gone)
    wire.expect_closed(gone, CloseCause.ABORTED)
    wire.connect(2)
    wire.advance(3.5)
    assert wire.session.next_event() is not None


@pytest.mark.parametrize("is_aborted", [True, False], ids=["aborted", "unanswered"])
def test_egress_phone_takes_nothing_connections_that_ended_are_not_kept(wire: Wire, is_aborted: bool) -> None:
    def connect() -> weakref.ref[TcpConnection]:
        connection = wire.session.connect(1, wire.now)
        if is_aborted:
            wire.abort(connection)
        return weakref.ref(connection)

    ended = [connect() for _ in range(100)]
    wire.advance(3.5)
    while wire.session.next_event() is not None:
        pass
    assert {connection() for connection in ended} == {None}
    wire.expect_nothing()


def test_egress_phone_takes_nothing_of_what_ended_only_the_reset_that_is_due_is_kept(wire: Wire) -> None:
    taken = OUR_WINDOW // 4
    aborted, reset = wire.establish(), wire.establish()
    for connection in (aborted, reset):
        wire.receive(connection, taken)
        wire.acknowledge(connection, taken)
    wire.abort(aborted, "stop")
    wire.expect_closed(aborted, CloseCause.ABORTED, "stop")
    wire.inject(destination=2, seq=FIRST + taken, flags=Flags.RST)
    wire.expect_closed(reset, CloseCause.RESET)
    wire.expect(flags=Flags.RST, ack=FIRST + taken, payload=b"stop")
    wire.expect_nothing()


def test_egress_refused_before_its_time_is_not_kept_until_then(wire: Wire) -> None:
    ended = weakref.ref(wire.connect())
    wire.inject(flags=Flags.RST, seq=0)
    assert wire.session.next_event() is not None
    assert ended() is None


# Sequence numbers of packets (M7, M13).


def test_egress_tx_seq_wraps(wire: Wire, established: TcpConnection) -> None:
    wire.session.egress._encoder._tx_seq = wire.host_tx_seq = 0xFFFE
    for count in range(4):
        wire.send(established, b"x")
        wire.expect(seq=1 + count, payload=b"x")  # checks tx_seq
    assert wire.host_tx_seq == 2


def test_egress_rx_seq_is_the_last_one_received_even_across_its_wrap(make_wire: MakesWire) -> None:
    wire = make_wire()
    wire.phone_tx_seq = 0xFFFB
    wire.shake_hands()
    established = wire.establish()
    for number in range(5):
        wire.inject_packet(CONTROL, b"\x05text")
        wire.expect_event(DeviceMessage(5, "text"))
        wire.send(established, b"x")
        wire.expect(seq=1 + number, payload=b"x")  # checks rx_seq


def test_egress_run_of_segments_ends_at_the_wrap_what_comes_next_is_no_gap(make_wire: MakesWire) -> None:
    wire = make_wire()
    wire.phone_tx_seq = 0xFFFC
    wire.shake_hands()
    established = wire.establish()
    wire.inject(payload=b"x")
    assert wire.phone_tx_seq == 0xFFFF
    wire.expect_data(established, b"x")
    wire.inject_packet(CONTROL, b"\x05text")
    wire.expect_event(DeviceMessage(5, "text"))
    wire.send(established, b"x")
    wire.expect(payload=b"x")  # checks rx_seq


def test_egress_acknowledgement_is_stamped_when_the_packet_is_pulled(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"request")
    wire.inject(payload=b"banner")
    wire.expect_data(established, b"banner")
    wire.acknowledge(established, 6)
    wire.expect(ack=FIRST + 6, payload=b"request")
    wire.advance(1)


def test_egress_version_1_has_no_sequence_numbers(make_wire: MakesWire) -> None:
    wire = make_wire(version=1)
    wire.shake_hands()
    connection = wire.establish()
    wire.send(connection, b"x")
    packet = wire.session.packet_to_send(wire.now)
    tcp = f"0001 {PHONE_PORT:04x} 00000001 {FIRST:08x} 50 10 0200 0000 0000"
    assert packet == bytes.fromhex(f"00000006 0000001d {tcp}") + b"x"


@pytest.mark.parametrize("at_once", [False, True])
def test_egress_version_2_every_field_is_where_it_belongs(
    wire: Wire, established: TcpConnection, at_once: bool
) -> None:
    buffer = memoryview(bytearray(36) + b"x")
    if at_once:
        assert wire.session.send_at_once(established, buffer, 1) == len(buffer)
        packet: bytes | None = bytes(buffer)
    else:
        wire.send(established, b"x")
        packet = wire.session.packet_to_send(wire.now)
    assert packet is not None
    link = f"00000006 00000025 feedface {wire.host_tx_seq:04x} {wire.host_rx_seq:04x}"
    tcp = f"0001 {PHONE_PORT:04x} 00000001 {FIRST:08x} 50 10 0200 0000 0000"
    assert packet.hex() == bytes.fromhex(link + tcp).hex() + b"x".hex()


# Length of packets (M12, T11).


@pytest.mark.parametrize(("version", "max_payload"), [(1, MAX_PAYLOAD_V1), (2, MAX_PAYLOAD_V2)])
def test_egress_packet_is_filled_to_its_limit(make_wire: MakesWire, version: int, max_payload: int) -> None:
    wire = make_wire(version=version)
    wire.shake_hands()
    connection = wire.establish(window=MAX_WINDOW)
    data = bytes(range(256)) * 384
    wire.send(connection, data)
    packet = wire.session.packet_to_send(wire.now)
    assert packet is not None
    assert len(packet) == MAX_PACKET
    wire.host_tx_seq += 1
    wire.expect(seq=1 + max_payload, payload=data[max_payload : 2 * max_payload])
    wire.expect(seq=1 + 2 * max_payload, payload=data[2 * max_payload :])


def test_egress_data_that_fits_is_one_packet_however_it_was_written(wire: Wire, established: TcpConnection) -> None:
    pieces = [bytes([number]) * number for number in range(1, 255)]
    for piece in pieces:
        wire.send(established, piece)
    wire.expect(payload=b"".join(pieces))


def test_egress_data_of_exactly_the_limit_is_one_packet(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, bytes(MAX_PAYLOAD_V2))
    wire.expect(payload=bytes(MAX_PAYLOAD_V2))
