"""Data that stays with the client until its turn comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import OUR_WINDOW, Wire
from usbmux.errors import LocalProtocolError
from usbmux.mux.events import CloseCause, ResynchronisationBegun, SendRoomOpened
from usbmux.mux.segment import Flags

if TYPE_CHECKING:
    from usbmux.mux.connection import TcpConnection


def expect_turn_of(wire: Wire, connection: TcpConnection | None) -> None:
    assert wire.session.packet_to_send(wire.now) is None
    assert wire.session.egress.granted is connection


@pytest.mark.parametrize("version", [1, 2])
def test_offered_it_is_granted_and_sent_from_where_it_stands(version: int) -> None:
    wire = Wire(version=version)
    wire.shake_hands()
    connection = wire.establish(window=512)

    wire.session.offer(connection, 300)

    expect_turn_of(wire, connection)
    wire.expect_at_once(connection, bytes(300))
    assert connection.send_room == 212
    expect_turn_of(wire, None)
    wire.expect_nothing()


def test_offered_twice_it_is_one_turn(wire: Wire) -> None:
    connection = wire.establish()
    wire.session.offer(connection, 10)
    wire.session.offer(connection, 10)
    expect_turn_of(wire, connection)
    wire.expect_at_once(connection, b"ten bytes.")
    expect_turn_of(wire, None)


def test_turn_is_let_pass_the_next_one_is_granted(wire: Wire) -> None:
    first, second = wire.establish(), wire.establish()
    wire.session.offer(first, 1)
    wire.session.offer(second, 1)
    expect_turn_of(wire, first)
    wire.session.egress.granted = None
    expect_turn_of(wire, second)
    wire.expect_at_once(second, b"x")
    wire.session.offer(first, 1)
    expect_turn_of(wire, first)
    wire.expect_at_once(first, b"y")


def test_short_offer_of_one_that_was_silent_goes_before_long_ones(wire: Wire) -> None:
    bulk, talker = wire.establish(), wire.establish()
    for seq in (1, 40_001):
        wire.session.offer(bulk, 40_000)
        expect_turn_of(wire, bulk)
        if seq == 1:
            wire.expect_at_once(bulk, bytes(40_000))
    wire.session.egress.granted = None
    wire.session.offer(bulk, 25_000)
    wire.session.offer(talker, 1)
    expect_turn_of(wire, talker)
    wire.expect_at_once(talker, b"k")
    expect_turn_of(wire, bulk)


def test_more_is_offered_than_a_packet_takes_it_waits_no_longer_than_one(wire: Wire) -> None:
    first, second = wire.establish(), wire.establish()
    wire.session.offer(first, 10_000_000)
    wire.session.offer(second, 0xBFFC)
    expect_turn_of(wire, first)


def test_acknowledgement_is_due_it_goes_first(wire: Wire) -> None:
    connection = wire.establish()
    seq = wire.receive(connection, OUR_WINDOW // 2)
    wire.session.next_event()
    wire.session.offer(connection, 4)
    wire.acknowledge(connection, OUR_WINDOW // 2)
    wire.expect(ack=seq)
    expect_turn_of(wire, connection)
    wire.expect_at_once(connection, b"data", ack=seq)


def test_something_is_queued_it_goes_first_and_the_offer_stands(wire: Wire) -> None:
    connection = wire.establish()
    wire.session.send(connection, b"early", wire.now)
    wire.session.offer(connection, 4)
    with pytest.raises(LocalProtocolError, match="cannot be sent at once"):
        wire.session.send_at_once(connection, memoryview(bytearray(100)), 4)
    wire.expect(payload=b"early")
    expect_turn_of(wire, connection)
    wire.expect_at_once(connection, b"late", seq=6)


def test_granted_to_one_another_cannot_send(wire: Wire) -> None:
    first, second = wire.establish(), wire.establish()
    wire.session.offer(first, 1)
    expect_turn_of(wire, first)
    with pytest.raises(LocalProtocolError, match="cannot be sent at once"):
        wire.session.send_at_once(second, memoryview(bytearray(100)), 1)
    wire.expect_at_once(first, b"x")
    wire.expect_at_once(second, b"y")


def test_phone_has_shut_its_window_meanwhile_nothing_can_be_sent_until_it_opens(wire: Wire) -> None:
    connection = wire.establish()
    wire.session.offer(connection, 1)
    wire.inject(window=0)
    expect_turn_of(wire, connection)
    assert connection.send_room == 0
    wire.session.egress.granted = None
    expect_turn_of(wire, None)
    wire.inject(window=256)
    wire.expect_event(SendRoomOpened(connection))


@pytest.mark.parametrize("is_granted", [False, True])
def test_connection_ends_before_its_turn_or_in_it_nothing_is_left_of_the_offer(wire: Wire, is_granted: bool) -> None:
    connection = wire.establish()
    wire.session.offer(connection, 1)
    if is_granted:
        expect_turn_of(wire, connection)
    wire.inject(flags=Flags.RST)
    wire.expect_closed(connection, CloseCause.RESET)
    expect_turn_of(wire, None)


def test_link_begins_anew_nobody_has_a_turn(wire: Wire) -> None:
    connection = wire.establish()
    wire.session.offer(connection, 1)
    expect_turn_of(wire, connection)
    wire.inject_data(b"\xff" * 16)
    assert wire.session.egress.granted is None
    wire.expect_closed(connection, CloseCause.LOST, "impossible length")
    assert isinstance(wire.session.next_event(), ResynchronisationBegun)
    assert wire.session.packet_to_send(wire.now) is not None  # VERSION


def test_as_long_as_others_wait_a_turn_comes_for_each(wire: Wire) -> None:
    connections = [wire.establish() for _ in range(19)]
    for connection in connections:
        wire.session.offer(connection, 100)
    for connection in connections:
        expect_turn_of(wire, connection)
        wire.expect_at_once(connection, bytes(100))
    expect_turn_of(wire, None)
    assert not wire.session.egress.may_have_packet


def test_another_connection_ends_in_its_turn_the_turn_is_still_its_own(wire: Wire) -> None:
    granted, ended, waiting = (wire.establish() for _ in range(3))
    wire.session.offer(granted, 1)
    wire.session.offer(waiting, 1)
    expect_turn_of(wire, granted)
    wire.inject(flags=Flags.RST, destination=ended.local_port)
    wire.expect_closed(ended, CloseCause.RESET)
    wire.expect_at_once(granted, b"x")
    expect_turn_of(wire, waiting)


def test_something_is_queued_in_its_turn_nothing_overtakes_it(wire: Wire) -> None:
    connection = wire.establish()
    wire.session.offer(connection, 4)
    expect_turn_of(wire, connection)
    wire.session.send(connection, b"early", wire.now)
    with pytest.raises(LocalProtocolError, match="cannot be sent at once"):
        wire.session.send_at_once(connection, memoryview(bytearray(100)), 4)
    wire.session.egress.granted = None
    wire.expect(payload=b"early")
    wire.expect_nothing()


def test_turn_is_let_pass_nothing_is_left_of_the_offer(wire: Wire) -> None:
    connection = wire.establish()
    wire.session.offer(connection, 1)
    expect_turn_of(wire, connection)
    wire.session.egress.granted = None
    wire.session.send(connection, b"queued", wire.now)
    wire.expect(payload=b"queued")
    expect_turn_of(wire, None)


def test_offered_while_nothing_is_due_there_may_be_a_packet(wire: Wire) -> None:
    connection = wire.establish()
    wire.expect_nothing()
    wire.session.offer(connection, 1)
    assert wire.session.egress.may_have_packet
    expect_turn_of(wire, connection)
    wire.session.egress.granted = None


@pytest.mark.parametrize("is_granted", [True, False])
def test_sent_at_once_it_has_had_its_share(wire: Wire, is_granted: bool) -> None:
    talker, other = wire.establish(), wire.establish()
    if is_granted:
        wire.session.offer(talker, 1000)
        expect_turn_of(wire, talker)
    wire.expect_at_once(talker, bytes(1000))
    wire.session.offer(talker, 1000)
    wire.session.offer(other, 1000)
    expect_turn_of(wire, other)
