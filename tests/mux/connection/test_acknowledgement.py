from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import FIRST, OUR_WINDOW, SYN_ACK
from usbmux.errors import LocalProtocolError
from usbmux.mux.events import CloseCause, ConnectionEstablished
from usbmux.mux.segment import Flags
from usbmux.mux.settings import MuxSettings

if TYPE_CHECKING:
    from tests.mux.conftest import MakesWire
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection

QUARTER = OUR_WINDOW // 4


def test_established_untaken_data_is_never_acknowledged(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, OUR_WINDOW)
    wire.advance(3600)
    wire.expect_nothing()
    wire.send(established, b"x")
    wire.expect(ack=FIRST, payload=b"x")


def test_established_little_taken_is_acknowledged_after_the_delay(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, 10)
    wire.acknowledge(established, 4)
    assert wire.session.deadline == wire.now + 0.005
    wire.advance(0.004)
    wire.session.handle_timer(wire.now)
    wire.expect_nothing()
    wire.advance(0.001)
    wire.expect(ack=FIRST + 4)
    wire.advance(60)


def test_established_delay_counts_from_the_first_byte_taken(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, 10)
    wire.acknowledge(established, 1)
    wire.advance(0.004)
    wire.acknowledge(established, 1)
    wire.advance(0.001)
    wire.expect(ack=FIRST + 2)
    wire.acknowledge(established, 1)
    wire.advance(0.004)
    wire.expect_nothing()
    wire.advance(0.001)
    wire.expect(ack=FIRST + 3)


def test_established_quarter_of_the_window_taken_is_acknowledged_at_once(
    wire: Wire, established: TcpConnection
) -> None:
    wire.receive(established, QUARTER)
    wire.acknowledge(established, QUARTER)
    wire.expect(ack=FIRST + QUARTER)
    wire.advance(60)


def test_established_less_than_a_quarter_waits(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, QUARTER)
    wire.acknowledge(established, QUARTER - 1)
    wire.expect_nothing()
    wire.acknowledge(established, 1)
    wire.expect(ack=FIRST + QUARTER)
    wire.advance(60)


def test_established_quarter_counts_from_the_last_acknowledgement(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, 2 * QUARTER)
    wire.acknowledge(established, QUARTER + 5)
    wire.expect(ack=FIRST + QUARTER + 5)
    wire.acknowledge(established, QUARTER - 6)
    wire.expect_nothing()
    wire.advance(0.005)
    wire.expect(ack=FIRST + 2 * QUARTER - 1)


def test_established_whole_window_taken_is_one_acknowledgement(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, OUR_WINDOW)
    wire.acknowledge(established, OUR_WINDOW)
    wire.expect(ack=FIRST + OUR_WINDOW)


def test_established_data_carries_the_acknowledgement(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, 10)
    wire.acknowledge(established, 10)
    wire.send(established, b"reply")
    wire.expect(ack=FIRST + 10, payload=b"reply")
    wire.advance(60)


def test_established_acknowledgement_due_goes_before_data(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, QUARTER)
    wire.send(established, b"data")
    wire.acknowledge(established, QUARTER)
    wire.expect(ack=FIRST + QUARTER)
    wire.expect(ack=FIRST + QUARTER, payload=b"data")


def test_established_next_acknowledgement_after_data_waits_its_own_delay(
    wire: Wire, established: TcpConnection
) -> None:
    wire.receive(established, 10)
    wire.acknowledge(established, 5)
    wire.advance(0.003)
    wire.send(established, b"reply")
    wire.expect(ack=FIRST + 5, payload=b"reply")
    wire.acknowledge(established, 5)
    wire.advance(0.004)
    wire.expect_nothing()
    wire.advance(0.001)
    wire.expect(seq=6, ack=FIRST + 10)


def test_established_acknowledgement_pulled_late_says_what_is_true_then(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, QUARTER + 10)
    wire.acknowledge(established, QUARTER)
    wire.acknowledge(established, 10)
    wire.expect(ack=FIRST + QUARTER + 10)
    wire.advance(60)


def test_established_acknowledgement_across_the_wrap(wire: Wire) -> None:
    connection = wire.establish(isn=2**32 - 101)
    wire.receive(connection, QUARTER, seq=2**32 - 100)
    wire.acknowledge(connection, 99)
    wire.advance(0.005)
    wire.expect(ack=2**32 - 1)
    wire.acknowledge(connection, QUARTER - 99)
    wire.advance(0.005)
    wire.expect(ack=QUARTER - 100)


def test_two_connections_are_acknowledged_each_in_its_time(wire: Wire) -> None:
    first, second = wire.establish(1), wire.establish(2)
    wire.inject(source=1, payload=b"abc")
    wire.expect_data(first, b"abc")
    wire.inject(source=2, destination=2, payload=b"defg")
    wire.expect_data(second, b"defg")
    wire.acknowledge(second, 4)
    wire.advance(0.002)
    wire.acknowledge(first, 3)
    wire.advance(0.003)
    wire.expect(source=2, destination=2, ack=FIRST + 4)
    wire.advance(0.002)
    wire.expect(source=1, destination=1, ack=FIRST + 3)


def test_established_delay_is_a_setting(make_wire: MakesWire) -> None:
    wire = make_wire(MuxSettings(acknowledge_delay_s=0.5))
    wire.shake_hands()
    connection = wire.establish()
    wire.receive(connection, 1)
    wire.acknowledge(connection, 1)
    wire.advance(0.499)
    wire.expect_nothing()
    wire.advance(0.001)
    wire.expect(ack=FIRST + 1)


def test_established_tiny_window_is_acknowledged_at_once(make_wire: MakesWire) -> None:
    wire = make_wire(MuxSettings(receive_window=256))
    wire.shake_hands()
    connection = wire.session.connect(62078, wire.now)
    wire.expect(flags=Flags.SYN, seq=0, ack=0, window=256)
    wire.inject(flags=SYN_ACK, seq=FIRST - 1)
    wire.expect_event(ConnectionEstablished(connection))
    wire.expect(window=256)
    wire.receive(connection, 256)
    wire.acknowledge(connection, 64)
    wire.expect(ack=FIRST + 64, window=256)


# What the caller must not do.


@pytest.mark.parametrize("count", [11, 2**32, -1])
def test_established_acknowledge_of_what_was_not_received_is_refused(
    wire: Wire, established: TcpConnection, count: int
) -> None:
    wire.receive(established, 10)
    with pytest.raises(LocalProtocolError, match=f"acknowledging {count} bytes that were not received"):
        wire.acknowledge(established, count)
    wire.advance(60)


def test_established_acknowledge_twice_is_refused(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, 10)
    wire.acknowledge(established, 10)
    with pytest.raises(LocalProtocolError, match="1 > 62078 ESTABLISHED: acknowledging 1 bytes"):
        wire.acknowledge(established, 1)
    wire.advance(0.005)
    wire.expect(ack=FIRST + 10)


def test_established_acknowledge_nothing_has_no_effect(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, 10)
    wire.acknowledge(established, 0)
    wire.advance(60)


def test_closed_what_the_client_still_takes_is_not_sent(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, QUARTER)
    wire.inject(flags=Flags.RST, seq=FIRST + QUARTER)
    wire.expect_closed(established, CloseCause.RESET)
    wire.acknowledge(established, QUARTER)
    wire.advance(60)
