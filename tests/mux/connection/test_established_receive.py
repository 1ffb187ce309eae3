from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import FIRST, OUR_WINDOW, PHONE_WINDOW, SYN_ACK
from usbmux.mux.events import SendRoomOpened
from usbmux.mux.segment import Flags
from usbmux.mux.settings import MuxSettings
from usbmux.mux.tcp_state import TcpState

if TYPE_CHECKING:
    from tests.mux.conftest import MakesWire
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection


def test_established_data_is_reported_in_order(wire: Wire, established: TcpConnection) -> None:
    wire.inject(payload=b"one")
    wire.expect_data(established, b"one")
    wire.inject_data(wire.segment(seq=FIRST + 3, payload=b"two") + wire.segment(seq=FIRST + 6, payload=b"three"))
    wire.expect_data(established, b"twothree")


def test_established_empty_segment_is_not_reported(wire: Wire, established: TcpConnection) -> None:
    wire.inject()
    wire.inject(window=0)
    wire.inject()
    wire.expect_event(SendRoomOpened(established))


def test_established_data_across_the_wrap(wire: Wire) -> None:
    connection = wire.establish(isn=2**32 - 4)
    wire.inject(seq=2**32 - 3, payload=b"abcdef")
    wire.expect_data(connection, b"abcdef")
    wire.inject(seq=3, payload=b"ghi")
    wire.expect_data(connection, b"ghi")
    wire.acknowledge(connection, 9)
    wire.advance(0.005)
    wire.expect(ack=6)


def test_established_data_split_over_transfers_is_reported_when_it_is_whole(
    wire: Wire, established: TcpConnection
) -> None:
    packet = wire.segment(payload=b"payload")
    for byte in packet[:-1]:
        wire.inject_data(bytes([byte]))
    wire.expect_nothing()
    wire.inject_data(packet[-1:])
    wire.expect_data(established, b"payload")


# Checks of T7, each broken once.


@pytest.mark.parametrize("offset", [-1, 1, 3, -(2**31), 2**31 - 1])
def test_established_other_seq_resets(wire: Wire, established: TcpConnection, offset: int) -> None:
    wire.receive(established, 5)
    seq = (FIRST + 5 + offset) % 2**32
    wire.inject(seq=seq, payload=b"abc")
    wire.expect_violation(established, f"expected seq {FIRST + 5}, got 62078 > 1: [.] seq {seq}:")
    assert established.state is TcpState.CLOSED


def test_established_same_data_again_resets(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, 5)
    wire.inject(payload=bytes(5))
    wire.expect_violation(established, "expected seq 1006, got 62078 > 1: [.] seq 1001:1006")


def test_established_empty_segment_with_other_seq_resets(wire: Wire, established: TcpConnection) -> None:
    wire.inject(seq=FIRST - 1)
    wire.expect_violation(established, "expected seq 1001, got 62078 > 1: [.] seq 1000 ")


@pytest.mark.parametrize(
    "flags", [0, Flags.SYN, SYN_ACK, Flags.FIN | Flags.ACK, Flags.PSH | Flags.ACK, Flags.URG | Flags.ACK, 0x80 | 0x10]
)
def test_established_other_flags_reset(wire: Wire, established: TcpConnection, flags: int) -> None:
    wire.inject(flags=flags, payload=b"data")
    wire.expect_violation(established, "expected flags ACK, got 62078 > 1: [")


@pytest.mark.parametrize("ack", [7, 8, 2**31 + 5])
def test_established_ack_of_what_was_not_sent_resets(wire: Wire, established: TcpConnection, ack: int) -> None:
    wire.send(established, b"hello")
    wire.expect(payload=b"hello")
    wire.inject(ack=ack)
    wire.expect_violation(established, "expected ack up to 6, got", f"ack {ack} ", seq=6)


def test_established_ack_of_what_is_only_queued_resets(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"hello")
    wire.inject(ack=2)
    wire.expect_violation(established, "expected ack up to 1, got")


@pytest.mark.parametrize("ack", [0, 5, 2**32 - 1, 2**31 + 6])
def test_established_old_ack_is_ignored_with_its_window_but_not_its_data(
    wire: Wire, established: TcpConnection, ack: int
) -> None:
    wire.send(established, b"hello")
    wire.expect(payload=b"hello")
    wire.inject(ack=6)
    wire.inject(ack=ack, window=256, payload=b"data")
    wire.expect_data(established, b"data")
    assert established.snd_una == 6
    assert established.send_room == PHONE_WINDOW


# The window that we advertised.


def test_established_exactly_full_window_is_fine(wire: Wire, established: TcpConnection) -> None:
    seq = wire.receive(established, OUR_WINDOW)
    wire.inject(seq=seq)


def test_established_window_overrun_by_one_resets(wire: Wire, established: TcpConnection) -> None:
    seq = wire.receive(established, OUR_WINDOW - 10)
    wire.inject(seq=seq, payload=bytes(11))
    wire.expect_violation(established, "window overrun: room for 10 bytes, got 62078 > 1:", "length 11")


def test_established_byte_beyond_a_full_window_resets(wire: Wire, established: TcpConnection) -> None:
    seq = wire.receive(established, OUR_WINDOW)
    wire.inject(seq=seq, payload=b"x")
    wire.expect_violation(established, "room for 0 bytes")


def test_established_taken_but_not_yet_acknowledged_makes_no_room(wire: Wire, established: TcpConnection) -> None:
    seq = wire.receive(established, OUR_WINDOW)
    wire.acknowledge(established, 100)
    wire.inject(seq=seq, payload=b"x")
    wire.expect_violation(established, "room for 0 bytes", ack=FIRST + 100)


def test_established_acknowledged_makes_room_for_just_as_much(wire: Wire, established: TcpConnection) -> None:
    seq = wire.receive(established, OUR_WINDOW)
    wire.acknowledge(established, 100)
    wire.advance(0.005)
    wire.expect(ack=FIRST + 100)
    seq = wire.receive(established, 100, seq=seq)
    wire.inject(seq=seq, payload=b"x")
    wire.expect_violation(established, "room for 0 bytes", ack=FIRST + 100)


def test_established_window_full_across_the_wrap(wire: Wire) -> None:
    connection = wire.establish(isn=2**32 - 1000)
    seq = wire.receive(connection, OUR_WINDOW, seq=2**32 - 999)
    assert seq == OUR_WINDOW - 999
    wire.acknowledge(connection, OUR_WINDOW)
    wire.expect(ack=seq)
    wire.receive(connection, OUR_WINDOW, seq=seq)


def test_established_window_is_a_setting(make_wire: MakesWire) -> None:
    wire = make_wire(MuxSettings(receive_window=512))
    wire.shake_hands()
    connection = wire.session.connect(62078, wire.now)
    wire.expect(flags=Flags.SYN, seq=0, ack=0, window=512)
    wire.inject(flags=SYN_ACK, seq=FIRST - 1)
    assert wire.session.next_event() is not None
    wire.expect(window=512)
    wire.receive(connection, 512)
    wire.acknowledge(connection, 128)
    wire.expect(ack=FIRST + 128, window=512)


def test_violation_drops_what_is_queued_and_what_still_comes(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"never sent")
    wire.inject_data(
        wire.segment(payload=b"good") + wire.segment(seq=5, payload=b"bad") + wire.segment(seq=FIRST + 4, payload=b"?")
    )
    wire.expect_data(established, b"good")
    wire.expect_violation(established, f"expected seq {FIRST + 4}")
    wire.advance(60)
