from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import FIRST, OUR_WINDOW
from usbmux.errors import LocalProtocolError
from usbmux.mux.events import CloseCause
from usbmux.mux.segment import Flags
from usbmux.mux.settings import MuxSettings
from usbmux.mux.tcp_state import TcpState

if TYPE_CHECKING:
    from tests.mux.conftest import MakesWire
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection

EXPIRED = "nothing moved for 30 s after the end"


def test_established_shutdown_write_says_nothing(wire: Wire, established: TcpConnection) -> None:
    wire.shutdown_write(established)
    assert established.state is TcpState.HALF_CLOSED
    assert established.send_room == 0
    wire.advance(29.9)


def test_established_shutdown_write_still_sends_what_was_written(wire: Wire) -> None:
    connection = wire.establish(window=512)
    wire.send(connection, bytes(512))
    wire.inject(window=256)
    wire.shutdown_write(connection)
    wire.expect(payload=bytes(256))
    wire.expect_nothing()
    wire.inject(ack=257, window=256)
    wire.expect(seq=257, payload=bytes(256))
    wire.inject(ack=513, window=256)
    assert connection.state is TcpState.HALF_CLOSED


@pytest.mark.parametrize("data", [b"", b"more"])
def test_half_closed_send_is_refused(wire: Wire, half_closed: TcpConnection, data: bytes) -> None:
    with pytest.raises(LocalProtocolError, match=r"HALF_CLOSED: \d bytes do not fit into send room 0"):
        wire.send(half_closed, data)


def test_half_closed_answer_is_delivered_and_acknowledged(wire: Wire, half_closed: TcpConnection) -> None:
    wire.receive(half_closed, OUR_WINDOW)
    wire.expect_nothing()
    wire.acknowledge(half_closed, OUR_WINDOW // 4)
    wire.expect(ack=FIRST + OUR_WINDOW // 4)
    wire.acknowledge(half_closed, 1)
    wire.advance(0.005)
    wire.expect(ack=FIRST + OUR_WINDOW // 4 + 1)


def test_half_closed_window_opened_is_not_reported(wire: Wire) -> None:
    connection = wire.establish(window=256)
    wire.send(connection, bytes(256))
    wire.expect(payload=bytes(256))
    wire.shutdown_write(connection)
    wire.inject(ack=257, window=256)


def test_half_closed_reset_by_the_phone_ends_it(wire: Wire, half_closed: TcpConnection) -> None:
    wire.inject(payload=b"answer")
    wire.inject(flags=Flags.RST, seq=FIRST + 6)
    wire.expect_data(half_closed, b"answer")
    wire.expect_closed(half_closed, CloseCause.RESET)
    wire.advance(60)


def test_half_closed_violation_resets(wire: Wire, half_closed: TcpConnection) -> None:
    wire.inject(flags=Flags.FIN | Flags.ACK)
    wire.expect_violation(half_closed, "expected flags ACK, got 62078 > 1: [F.]")


def test_half_closed_shutdown_write_again_does_not_begin_the_linger_time_anew(
    wire: Wire, half_closed: TcpConnection
) -> None:
    wire.advance(20)
    wire.shutdown_write(half_closed)
    wire.advance(10)
    wire.expect_closed(half_closed, CloseCause.EXPIRED, EXPIRED)
    wire.expect(flags=Flags.RST)


def test_half_closed_close_with_everything_acknowledged_finishes(wire: Wire, half_closed: TcpConnection) -> None:
    wire.receive(half_closed, 10)
    wire.close(half_closed)
    wire.expect_closed(half_closed, CloseCause.FINISHED)
    wire.expect(flags=Flags.RST, ack=FIRST + 10)


def test_half_closed_close_with_data_on_its_way_drains(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"bye")
    wire.expect(payload=b"bye")
    wire.shutdown_write(established)
    wire.close(established)
    assert established.state is TcpState.DRAINING
    wire.expect_nothing()
    wire.inject(ack=4)
    wire.expect_closed(established, CloseCause.FINISHED)
    wire.expect(flags=Flags.RST, seq=4)


def test_half_closed_abort_resets_with_text(wire: Wire, half_closed: TcpConnection) -> None:
    wire.abort(half_closed, "stop")
    wire.expect_closed(half_closed, CloseCause.ABORTED, "stop")
    wire.expect(flags=Flags.RST, payload=b"stop")
    wire.advance(60)


# The linger time (T14).


def expect_expired(wire: Wire, connection: TcpConnection, *, seq: int = 1, ack: int = FIRST) -> None:
    """Nothing for all but the last tenth of a second of the linger time, and then the end."""
    wire.advance(29.9)
    wire.expect_nothing()
    wire.advance(0.1)
    wire.expect_closed(connection, CloseCause.EXPIRED, EXPIRED)
    wire.expect(flags=Flags.RST, seq=seq, ack=ack)
    wire.advance(60)


def test_half_closed_silence_expires(wire: Wire, half_closed: TcpConnection) -> None:
    expect_expired(wire, half_closed)


def test_half_closed_byte_received_counts_as_life(wire: Wire, half_closed: TcpConnection) -> None:
    wire.advance(20)
    wire.receive(half_closed, 1)
    expect_expired(wire, half_closed)


def test_half_closed_byte_taken_counts_as_life(wire: Wire, half_closed: TcpConnection) -> None:
    wire.receive(half_closed, 10)
    wire.advance(20)
    wire.acknowledge(half_closed, 1)
    wire.advance(0.005)
    wire.expect(ack=FIRST + 1)
    wire.advance(29.9)
    wire.expect_nothing()
    wire.advance(0.095)
    wire.expect_closed(half_closed, CloseCause.EXPIRED, EXPIRED)
    wire.expect(flags=Flags.RST, ack=FIRST + 1)


def test_half_closed_byte_acknowledged_counts_as_life(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"abc")
    wire.expect(payload=b"abc")
    wire.shutdown_write(established)
    wire.advance(20)
    wire.inject(ack=3)
    expect_expired(wire, established, seq=4)


def test_half_closed_empty_segments_do_not_count_as_life(wire: Wire, half_closed: TcpConnection) -> None:
    for window in (0, 256, 512):
        wire.advance(9)
        wire.inject(window=window)
    wire.advance(3)
    wire.expect_closed(half_closed, CloseCause.EXPIRED, EXPIRED)
    wire.expect(flags=Flags.RST)


def test_half_closed_linger_time_is_a_setting(make_wire: MakesWire) -> None:
    wire = make_wire(MuxSettings(linger_s=2.5))
    wire.shake_hands()
    connection = wire.establish()
    wire.shutdown_write(connection)
    wire.advance(2.4)
    wire.expect_nothing()
    wire.advance(0.1)
    wire.expect_closed(connection, CloseCause.EXPIRED, "nothing moved for 2.5 s after the end")
    wire.expect(flags=Flags.RST)


def test_half_closed_port_rests_after_it_expired(wire: Wire, half_closed: TcpConnection) -> None:
    expect_expired(wire, half_closed)
    assert wire.session._ports.is_resting(1, wire.now - 60)
    assert wire.connect().local_port == 2
    wire.advance(3.5)
    assert wire.session.next_event() is not None
