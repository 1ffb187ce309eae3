"""When the session wants to be woken; that it says so in time is checked by `Wire` in every script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import CONTROL, FIRST, VERSION
from usbmux.mux.events import DeviceMessage, HandshakeCompleted, ResynchronisationBegun, SessionFailed

if TYPE_CHECKING:
    from tests.mux.conftest import MakesWire
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection

LONG_AGO = 100


def test_ready_packet_begun_and_nothing_else_due_it_is_waited_for(wire: Wire) -> None:
    wire.advance(LONG_AGO)
    wire.inject_data(wire.packet(CONTROL, b"\x07text")[:-1])
    wire.advance(1.999)
    wire.expect_nothing()
    wire.advance(0.001)
    assert isinstance(wire.session.next_event(), ResynchronisationBegun)
    assert wire.expect_packet()[0] == VERSION
    wire.session.fail("enough", wire.now)
    wire.expect_event(SessionFailed("enough"))


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "anew"])
def test_packet_begun_right_behind_the_answer_to_version_its_rest_is_waited_for(
    make_wire: MakesWire, is_first: bool
) -> None:
    wire = make_wire()
    before = b""
    if not is_first:
        wire.shake_hands()
        before = b"\xff" * 16  # the framing is lost, and the answer of a phone that was killed long ago follows
    else:
        assert wire.expect_packet()[0] == VERSION
    answer = wire.packet(VERSION, b"\0\0\0\x02" + bytes(8))
    wire.inject_data(before + answer + wire.packet(CONTROL, b"\x07text")[:-1])
    while not isinstance(wire.next_event(), HandshakeCompleted):
        pass
    wire.advance(1.999)
    assert wire.next_event() is None
    wire.advance(0.001)
    assert isinstance(wire.next_event(), ResynchronisationBegun)
    wire.session.fail("enough", wire.now)
    wire.expect_event(SessionFailed("enough"))


def test_ready_packet_begun_what_is_due_before_its_time_is_done(wire: Wire, established: TcpConnection) -> None:
    wire.advance(LONG_AGO)
    wire.inject(payload=b"taken")
    wire.expect_data(established, b"taken")
    wire.acknowledge(established, 5)
    packet = wire.packet(CONTROL, b"\x07text")
    wire.inject_data(packet[:-1])
    wire.host_rx_seq -= 1  # it was not received yet
    wire.advance(0.005)
    wire.expect(ack=FIRST + 5)
    wire.inject_data(packet[-1:])
    wire.expect_event(DeviceMessage(7, "text"))
    wire.advance(LONG_AGO)
