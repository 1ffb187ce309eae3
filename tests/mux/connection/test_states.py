from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import FIRST, PHONE_ISN, SYN_ACK
from usbmux.errors import LocalProtocolError
from usbmux.mux.connection import TcpConnection
from usbmux.mux.events import CloseCause
from usbmux.mux.segment import Flags, Segment
from usbmux.mux.settings import MuxSettings
from usbmux.mux.tcp_state import EDGES, TcpState

if TYPE_CHECKING:
    from collections.abc import Callable

    from usbmux.mux.events import Event

    Step = Callable[[TcpConnection], None]

LEGAL = [(before, after) for before, afters in EDGES.items() for after in afters]
ILLEGAL = [edge for edge in product(TcpState, TcpState) if edge not in LEGAL]


def phone_says(flags: int, seq: int, ack: int = 1) -> Step:
    return lambda connection: connection.receive_segment(Segment(22, 1, seq, ack, flags, 512), 0)


def close(connection: TcpConnection) -> None:
    connection.close(0)


def shutdown(connection: TcpConnection) -> None:
    connection.shutdown_write(0)


def send_and_close(connection: TcpConnection) -> None:
    send(connection)
    connection.close(0)


def send(connection: TcpConnection) -> None:
    connection.send(b"data")
    assert connection.take_data(100) is not None


ACCEPT = phone_says(SYN_ACK, PHONE_ISN)
RESET = phone_says(Flags.RST, FIRST)

WAYS: dict[TcpState, list[Step]] = {
    TcpState.SYN_SENT: [],
    TcpState.ESTABLISHED: [ACCEPT],
    TcpState.HALF_CLOSED: [ACCEPT, send, shutdown],
    TcpState.DRAINING: [ACCEPT, send, close],
    TcpState.CLOSED: [RESET],
}
STEPS: dict[tuple[TcpState, TcpState], Step] = {
    (TcpState.SYN_SENT, TcpState.ESTABLISHED): ACCEPT,
    (TcpState.SYN_SENT, TcpState.CLOSED): close,
    (TcpState.ESTABLISHED, TcpState.HALF_CLOSED): shutdown,
    (TcpState.ESTABLISHED, TcpState.DRAINING): send_and_close,
    (TcpState.ESTABLISHED, TcpState.CLOSED): RESET,
    (TcpState.HALF_CLOSED, TcpState.DRAINING): close,
    (TcpState.HALF_CLOSED, TcpState.CLOSED): RESET,
    (TcpState.DRAINING, TcpState.CLOSED): phone_says(Flags.ACK, FIRST, 5),
}


def connection_in(state: TcpState) -> tuple[TcpConnection, list[Event]]:
    events: list[Event] = []
    connection = TcpConnection(1, 22, MuxSettings(), events.append, 0)
    assert connection.control_segment() == Segment(1, 22, 0, 0, Flags.SYN, 131072)
    for step in WAYS[state]:
        step(connection)
    assert connection.state is state
    return connection, events


def test_new_connection_counts_from_0_and_has_no_window() -> None:
    events: list[Event] = []
    connection = TcpConnection(1, 22, MuxSettings(), events.append, 0)
    assert (connection.snd_una, connection.snd_nxt, connection.snd_wnd) == (0, 0, 0)
    assert (connection.rcv_nxt, connection.rcv_taken, connection.rcv_acked) == (0, 0, 0)


def test_every_edge_of_the_table_has_a_way() -> None:
    assert set(STEPS) == set(LEGAL)


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_legal_edge_is_taken(before: TcpState, after: TcpState) -> None:
    connection, _events = connection_in(before)
    STEPS[before, after](connection)
    assert connection.state is after


@pytest.mark.parametrize(("before", "after"), ILLEGAL)
def test_illegal_edge_is_refused(before: TcpState, after: TcpState) -> None:
    connection, _events = connection_in(before)
    with pytest.raises(LocalProtocolError, match=f"1 > 22 {before.name}: no way to {after.name}"):
        connection._set_state(after)
    assert connection.state is before


def test_closed_hears_nothing_and_says_nothing() -> None:
    connection, events = connection_in(TcpState.CLOSED)
    events.clear()
    for step in (ACCEPT, RESET, phone_says(Flags.ACK, FIRST), close, shutdown):
        step(connection)
    connection.link_lost("unplugged")
    connection.abort(CloseCause.ABORTED, "late")
    connection.handle_timer(1e9)
    assert events == []
    assert connection.control_segment() is None
    assert connection.take_data(100) is None
    assert not connection.wants_control
    assert not connection.sendable
