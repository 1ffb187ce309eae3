from __future__ import annotations

from typing import TYPE_CHECKING

from tests.mux.wire import FIRST, PHONE_ISN, SYN_ACK
from usbmux.mux.events import CloseCause, ConnectionEstablished
from usbmux.mux.segment import Flags

if TYPE_CHECKING:
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection

UNANSWERED = "no answer to SYN within 3.5 s"
EXPIRED = "nothing moved for 30 s after the end"


def deadline_of(connection: TcpConnection) -> float | None:
    """A call, because mypy takes it that an attribute stays as it was last seen."""
    return connection.deadline


def test_ready_without_connections_wants_nothing(wire: Wire) -> None:
    assert wire.session.deadline is None
    wire.session.handle_timer(wire.now + 1000)


def test_syn_sent_wants_its_answer(wire: Wire) -> None:
    connection = wire.connect()
    assert connection.deadline == wire.session.deadline == wire.now + 3.5
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN)
    wire.expect_event(ConnectionEstablished(connection))
    wire.expect()
    assert connection.deadline is None


def test_established_wants_nothing_but_to_acknowledge(wire: Wire, established: TcpConnection) -> None:
    assert deadline_of(established) is None
    wire.receive(established, 5)
    assert deadline_of(established) is None
    wire.acknowledge(established, 5)
    assert deadline_of(established) == wire.session.deadline == wire.now + 0.005
    wire.advance(0.005)
    wire.expect(ack=FIRST + 5)
    assert deadline_of(established) is None


def test_half_closed_wants_the_earlier_of_two(wire: Wire, half_closed: TcpConnection) -> None:
    assert half_closed.deadline == wire.now + 30
    wire.receive(half_closed, 5)
    wire.acknowledge(half_closed, 5)
    assert half_closed.deadline == wire.session.deadline == wire.now + 0.005
    wire.advance(0.005)
    wire.expect(ack=FIRST + 5)
    assert half_closed.deadline == wire.now - 0.005 + 30


def test_half_closed_linger_may_come_before_the_acknowledgement(wire: Wire, half_closed: TcpConnection) -> None:
    wire.receive(half_closed, 5)
    wire.acknowledge(half_closed, 5)
    half_closed._acknowledge_deadline = wire.now + 40
    assert half_closed.deadline == wire.now + 30
    wire.advance(30)
    wire.expect_closed(half_closed, CloseCause.EXPIRED, EXPIRED)
    wire.expect(flags=Flags.RST, ack=FIRST + 5)


def test_closed_wants_nothing(wire: Wire, half_closed: TcpConnection) -> None:
    wire.receive(half_closed, 5)
    wire.acknowledge(half_closed, 5)
    wire.inject(flags=Flags.RST)
    wire.expect_closed(half_closed, CloseCause.RESET)
    assert half_closed.deadline is None
    wire.advance(100)
    assert wire.session.deadline is None


def test_woken_too_early_does_nothing(wire: Wire, half_closed: TcpConnection) -> None:
    wire.receive(half_closed, 5)
    wire.acknowledge(half_closed, 5)
    wire.session.handle_timer(wire.now + 0.0049)
    half_closed.handle_timer(wire.now + 0.0049)
    wire.expect_nothing()
    wire.advance(0.005)
    wire.expect(ack=FIRST + 5)


def test_woken_much_too_late_does_everything_at_once(wire: Wire) -> None:
    unanswered, expiring = wire.connect(1), wire.establish(2)
    taking = wire.establish(3)
    wire.shutdown_write(expiring)
    wire.inject(source=3, destination=3, payload=b"abc")
    wire.expect_data(taking, b"abc")
    wire.acknowledge(taking, 3)
    wire.now += 1000
    wire.session.handle_timer(wire.now)
    wire.expect_closed(unanswered, CloseCause.UNANSWERED, UNANSWERED)
    wire.expect_closed(expiring, CloseCause.EXPIRED, EXPIRED)
    wire.expect(source=3, destination=3, ack=FIRST + 3)
    wire.expect(source=2, destination=2, flags=Flags.RST)
    assert wire.session.deadline is None


def test_many_connections_unanswered_at_the_same_moment_all_end(wire: Wire) -> None:
    connections = [wire.connect() for _ in range(100)]
    wire.advance(3.5)
    for connection in connections:
        wire.expect_closed(connection, CloseCause.UNANSWERED, UNANSWERED)


def test_half_closed_download_is_woken_once_for_each_acknowledgement(wire: Wire, half_closed: TcpConnection) -> None:
    seq, wake_ups = FIRST, 0
    for _ in range(1000):
        wire.inject(seq=seq, payload=b"x")
        wire.expect_data(half_closed, b"x")
        wire.acknowledge(half_closed, 1)
        seq += 1
        until = wire.now + 0.05
        while (deadline := wire.session.deadline) is not None and deadline <= until:
            wire.now = deadline
            wire.session.handle_timer(wire.now)
            wake_ups += 1
        wire.expect(ack=seq)
        wire.now = until
    assert wake_ups <= 1000 + 3  # and about one in 30 s for the linger time
