from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import FIRST, OUR_WINDOW
from usbmux.mux.events import CloseCause, ConnectionClosed
from usbmux.mux.segment import MAX_REASON_LENGTH, Flags
from usbmux.mux.tcp_state import TcpState

if TYPE_CHECKING:
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection


# The phone resets.


@pytest.mark.parametrize("flags", [Flags.RST, Flags.RST | Flags.ACK, 0xFF])
def test_established_rst_ends_without_an_answer(wire: Wire, established: TcpConnection, flags: int) -> None:
    wire.send(established, b"never sent")
    wire.inject(flags=flags)
    wire.expect_closed(established, CloseCause.RESET)
    assert established.queue.length == 0
    assert established.state is TcpState.CLOSED
    assert established.send_room == 0
    wire.advance(60)


@pytest.mark.parametrize(("seq", "ack"), [(0, 0), (FIRST - 1, 1), (FIRST + 7, 99), (2**32 - 1, 2**32 - 1)])
def test_established_rst_with_any_numbers_is_believed(
    wire: Wire, established: TcpConnection, seq: int, ack: int
) -> None:
    wire.inject(flags=Flags.RST, seq=seq, ack=ack)
    wire.expect_closed(established, CloseCause.RESET)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"connection closed\n", "connection closed"),
        (b"\0\r\n amnesia \0\0", "amnesia"),
        (b"two\nlines\x07", "two?lines?"),
        (b"X11: no port for X\n", "X11: no port for X"),
        ("caf\u00e9\u2028\u202e".encode(), "caf\u00e9??"),
        (b"bad \xff utf-8", "bad \ufffd utf-8"),
        (b"x" * (MAX_REASON_LENGTH + 1), "x" * MAX_REASON_LENGTH),
        (b"\n", ""),
    ],
)
def test_established_rst_text_is_shortened_and_cleaned(
    wire: Wire, established: TcpConnection, payload: bytes, text: str
) -> None:
    wire.inject(flags=Flags.RST, payload=payload)
    wire.expect_event(ConnectionClosed(established, CloseCause.RESET, text))


def test_established_data_before_the_rst_is_reported_before_the_end(wire: Wire, established: TcpConnection) -> None:
    wire.inject_data(
        wire.segment(payload=b"one")
        + wire.segment(seq=FIRST + 3, payload=b"two")
        + wire.segment(flags=Flags.RST, seq=FIRST + 6, payload=b"bye")
    )
    wire.expect_data(established, b"onetwo")
    wire.expect_closed(established, CloseCause.RESET, "bye")


def test_closed_client_takes_what_came_before_the_rst_in_its_own_time(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, 100)
    wire.inject(flags=Flags.RST, seq=FIRST + 100)
    wire.expect_closed(established, CloseCause.RESET)
    for _ in range(100):
        wire.advance(60)
        wire.acknowledge(established, 1)


@pytest.mark.parametrize("taken", [10, OUR_WINDOW // 4])
def test_closed_acknowledgement_that_was_due_is_not_sent(wire: Wire, established: TcpConnection, taken: int) -> None:
    seq = wire.receive(established, OUR_WINDOW)
    wire.acknowledge(established, taken)
    wire.inject(flags=Flags.RST, seq=seq)
    wire.expect_closed(established, CloseCause.RESET)
    wire.advance(60)


# We reset.


def test_established_abort_carries_text_and_all_numbers(wire: Wire, established: TcpConnection) -> None:
    wire.receive(established, 10)
    wire.acknowledge(established, 4)
    wire.send(established, b"sent")
    wire.expect(ack=FIRST + 4, payload=b"sent")
    wire.acknowledge(established, 3)
    wire.send(established, b"dropped")
    wire.abort(established, "client is gone")
    wire.expect_closed(established, CloseCause.ABORTED, "client is gone")
    wire.expect(flags=Flags.RST, seq=5, ack=FIRST + 7, payload=b"client is gone")
    wire.advance(60)


def test_established_abort_is_idempotent(wire: Wire, established: TcpConnection) -> None:
    wire.abort(established, "first")
    wire.abort(established, "second")
    wire.expect_closed(established, CloseCause.ABORTED, "first")
    wire.expect(flags=Flags.RST, payload=b"first")
    wire.abort(established, "third")


def test_closed_by_the_phone_abort_has_no_effect(wire: Wire, established: TcpConnection) -> None:
    wire.inject(flags=Flags.RST)
    wire.expect_closed(established, CloseCause.RESET)
    wire.abort(established, "late")


def test_closed_by_the_phone_close_and_shutdown_have_no_effect(wire: Wire, established: TcpConnection) -> None:
    wire.inject(flags=Flags.RST)
    wire.expect_closed(established, CloseCause.RESET)
    wire.close(established)
    wire.shutdown_write(established)


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ("x" * (MAX_REASON_LENGTH + 100), b"x" * MAX_REASON_LENGTH),
        ("\ud800", b"?"),
        ("caf\u00e9", "caf\u00e9".encode()),
    ],
)
def test_established_abort_text_on_the_wire_is_bounded_utf_8(
    wire: Wire, established: TcpConnection, text: str, payload: bytes
) -> None:
    wire.abort(established, text)
    wire.expect_closed(established, CloseCause.ABORTED, text)
    wire.expect(flags=Flags.RST, payload=payload)


def test_resets_that_cross_end_in_silence(wire: Wire, established: TcpConnection) -> None:
    wire.abort(established)
    wire.expect_closed(established, CloseCause.ABORTED)
    wire.inject(flags=Flags.RST, payload=b"I was first")
    wire.expect(flags=Flags.RST)
    wire.inject(flags=Flags.RST, payload=b"I was first")
    wire.advance(60)


def test_reset_due_when_the_phone_resets_too_is_still_sent(wire: Wire, established: TcpConnection) -> None:
    wire.inject_data(wire.segment(seq=5) + wire.segment(flags=Flags.RST))
    wire.expect_violation(established, "expected seq 1001")
