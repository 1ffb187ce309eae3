from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import FIRST, PHONE_PORT
from usbmux.errors import LocalProtocolError
from usbmux.mux.connection import TcpState
from usbmux.mux.events import CloseCause, ConnectionClosed, DataReceived, SessionFailed

if TYPE_CHECKING:
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection

LOST_FRAMING = "00 00 00 06 00 00 00 0f"


def test_ready_fail_closes_every_connection_before_it_is_reported(wire: Wire) -> None:
    open_one, half_closed, draining = wire.establish(1), wire.establish(2), wire.establish(3)
    syn_sent, syn_due = wire.connect(4), wire.session.connect(5, wire.now)
    wire.shutdown_write(half_closed)
    wire.send(draining, b"unsent")
    wire.close(draining)
    wire.send(open_one, b"unsent")
    wire.session.fail("unplugged", wire.now)
    for connection in (open_one, half_closed, draining, syn_sent, syn_due):
        wire.expect_event(ConnectionClosed(connection, CloseCause.LOST, "unplugged"))
        assert connection.state is TcpState.CLOSED
    wire.expect_event(SessionFailed("unplugged"))
    assert wire.session.deadline is None


def test_ready_fail_drops_the_answers_that_wait(wire: Wire) -> None:
    wire.inject(destination=99)
    assert wire.session.next_event() is not None
    wire.session.fail("unplugged", wire.now)
    wire.expect_event(SessionFailed("unplugged"))


def test_ready_impossible_length_fails_after_the_packets_before_it(wire: Wire, established: TcpConnection) -> None:
    lost = bytes.fromhex(LOST_FRAMING)
    wire.inject_data(wire.segment(payload=b"good") + lost + wire.segment(seq=FIRST + 4, payload=b"never seen"))
    wire.expect_event(DataReceived(established, b"good"))
    reason = f"mux packet with impossible length 15 ({LOST_FRAMING} 00 00 00 06 00 00 00 2e)"
    wire.expect_event(ConnectionClosed(established, CloseCause.LOST, reason))
    wire.expect_event(SessionFailed(reason))


def test_failed_nothing_is_sent_and_nothing_is_heard(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"data")
    wire.session.fail("unplugged", wire.now)
    wire.expect_event(ConnectionClosed(established, CloseCause.LOST, "unplugged"))
    wire.expect_event(SessionFailed("unplugged"))
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
    wire.expect_event(ConnectionClosed(established, CloseCause.LOST, "unplugged"))
    wire.expect_event(SessionFailed("unplugged"))
    assert established.send_room == 0
    with pytest.raises(LocalProtocolError, match="1 > 62078 CLOSED: 1 bytes do not fit into send room 0"):
        wire.send(established, b"x")
