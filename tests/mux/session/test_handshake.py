from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import CONTROL, SETUP, VERSION
from usbmux.errors import LocalProtocolError
from usbmux.mux.events import DeviceMessage, HandshakeCompleted, PacketIgnored, SessionFailed
from usbmux.mux.session import SessionState
from usbmux.mux.settings import MuxSettings

if TYPE_CHECKING:
    from tests.mux.conftest import MakesWire
    from tests.mux.wire import Wire

OUR_VERSION = bytes.fromhex("00000000 00000014 00000002 00000000 00000000")
OUR_SETUP = bytes.fromhex("00000002 00000011 feedface 0000 ffff 07")


def version(major: int, minor: int = 0) -> bytes:
    return struct.pack(">III", major, minor, 0)


@pytest.fixture
def asked(make_wire: MakesWire) -> Wire:
    """A wire on which the host has sent VERSION and waits."""
    wire = make_wire()
    assert wire.expect_packet() == (VERSION, version(2))
    wire.expect_nothing()
    return wire


def expect_failed(wire: Wire, reason: str) -> None:
    wire.expect_event(SessionFailed(reason))
    assert wire.session.state is SessionState.FAILED
    assert wire.session.deadline is None
    wire.expect_nothing()


def test_handshake_host_speaks_first_and_waits(make_wire: MakesWire) -> None:
    wire = make_wire()
    assert wire.session.packet_to_send(wire.now) == OUR_VERSION
    wire.expect_nothing()
    assert wire.session.state is SessionState.HANDSHAKE
    assert wire.session.deadline == wire.now + 1.0


def test_handshake_major_2_is_answered_with_setup(asked: Wire) -> None:
    asked.inject_packet(VERSION, version(2, 7))
    assert asked.session.state is SessionState.READY
    assert asked.session.deadline is None
    asked.expect_event(HandshakeCompleted(2))
    assert asked.session.packet_to_send(asked.now) == OUR_SETUP


def test_handshake_major_1_goes_on_in_version_1_without_setup(asked: Wire) -> None:
    asked.version = 1
    asked.inject_packet(VERSION, version(1))
    asked.expect_event(HandshakeCompleted(1))
    asked.expect_nothing()
    asked.establish()


def test_handshake_other_major_fails(asked: Wire) -> None:
    asked.inject_packet(VERSION, version(3, 4))
    expect_failed(asked, "mux version 3.4 is not supported")


@pytest.mark.parametrize("implausible", [version(0), version(2**32 - 1), version(2, 2**31)])
def test_handshake_what_only_looks_like_a_version_is_passed_over(asked: Wire, implausible: bytes) -> None:
    asked.inject_packet(VERSION, implausible)
    asked.expect_nothing()
    asked.inject_packet(VERSION, version(2))
    asked.expect_event(PacketIgnored("20 bytes before VERSION"))
    asked.expect_event(HandshakeCompleted(2))
    assert asked.expect_packet() == (SETUP, b"\x07")


def test_handshake_answer_right_behind_what_only_looks_like_it_is_found(asked: Wire) -> None:
    asked.inject_data(asked.packet(VERSION, version(0)) + asked.packet(VERSION, version(2)))
    asked.expect_event(PacketIgnored("20 bytes before VERSION"))
    asked.expect_event(HandshakeCompleted(2))
    assert asked.expect_packet() == (SETUP, b"\x07")


def test_handshake_unanswered_version_is_repeated_until_the_deadline(asked: Wire) -> None:
    for _ in range(4):
        asked.advance(0.9)
        asked.expect_nothing()
        asked.advance(0.1)
        assert asked.expect_packet() == (VERSION, version(2))
        asked.expect_nothing()
    asked.advance(1.0)
    expect_failed(asked, "no answer to VERSION within 5 s")


def test_handshake_woken_too_early_does_nothing(asked: Wire) -> None:
    asked.session.handle_timer(asked.now + 0.5)
    asked.expect_nothing()


def test_handshake_version_that_cannot_be_sent_is_not_repeated(make_wire: MakesWire) -> None:
    wire = make_wire()
    for _ in range(3):
        wire.now += 1.0
        wire.session.handle_timer(wire.now)
    assert wire.expect_packet() == (VERSION, version(2))
    wire.expect_nothing()


def test_handshake_answer_takes_back_a_repetition_that_was_not_sent(asked: Wire) -> None:
    asked.now += 1.0
    asked.session.handle_timer(asked.now)
    asked.inject_packet(VERSION, version(2))
    asked.expect_event(HandshakeCompleted(2))
    assert asked.expect_packet() == (SETUP, b"\x07")


def test_handshake_rubbish_only_fails_and_says_so(asked: Wire) -> None:
    asked.inject_data(bytes(1000))
    asked.advance(1.0)
    assert asked.expect_packet() == (VERSION, version(2))
    asked.now += 4.0
    asked.session.handle_timer(asked.now)
    expect_failed(asked, "no answer to VERSION within 5 s, only 981 bytes of something else")


def test_handshake_timeout_is_a_setting(make_wire: MakesWire) -> None:
    wire = make_wire(MuxSettings(handshake_timeout_s=0.25))
    assert wire.expect_packet() == (VERSION, version(2))
    wire.advance(0.25)
    expect_failed(wire, "no answer to VERSION within 0.25 s")


def test_handshake_done_the_deadline_is_forgotten(wire: Wire) -> None:
    wire.advance(60)
    assert wire.session.state is SessionState.READY


def test_handshake_answer_after_the_failure_is_not_heard(asked: Wire) -> None:
    asked.advance(5)
    expect_failed(asked, "no answer to VERSION within 5 s")
    asked.inject_packet(VERSION, version(2))
    asked.expect_nothing()


@pytest.mark.parametrize("size", [1, 7, 19, 20, 21, 64, 10_000])
def test_handshake_rest_of_an_old_session_cut_anywhere_is_passed_over(asked: Wire, size: int) -> None:
    rest = b"rest of a packet" + bytes(30) + asked.segment(payload=b"x" * 40) + asked.packet(CONTROL, b"\x05text")
    asked.host_rx_seq = 0xFFFF
    data = rest + asked.packet(VERSION, version(2))
    for start in range(0, len(data), size):
        asked.inject_data(data[start : start + size])
    asked.expect_event(PacketIgnored(f"{len(rest)} bytes before VERSION"))
    asked.expect_event(HandshakeCompleted(2))
    assert asked.expect_packet() == (SETUP, b"\x07")


def test_handshake_version_2_packet_in_the_same_transfer_is_understood(asked: Wire) -> None:
    asked.inject_data(asked.packet(VERSION, version(2)) + asked.packet(CONTROL, b"\x07hello"))
    asked.expect_event(HandshakeCompleted(2))
    asked.expect_event(DeviceMessage(7, "hello"))
    asked.host_rx_seq = 0xFFFF
    assert asked.expect_packet() == (SETUP, b"\x07")


def test_handshake_answer_before_version_was_pulled_keeps_the_order(make_wire: MakesWire) -> None:
    wire = make_wire()
    wire.inject_packet(VERSION, version(2))
    wire.expect_event(HandshakeCompleted(2))
    assert wire.expect_packet() == (VERSION, version(2))
    assert wire.expect_packet() == (SETUP, b"\x07")


def test_handshake_connect_is_refused(asked: Wire) -> None:
    with pytest.raises(LocalProtocolError, match="cannot connect in state HANDSHAKE"):
        asked.session.connect(22, asked.now)


def test_handshake_fail_is_reported_once_and_nothing_is_sent(make_wire: MakesWire) -> None:
    wire = make_wire()
    wire.session.fail("unplugged", wire.now)
    wire.session.fail("again", wire.now)
    expect_failed(wire, "unplugged")
    wire.session.handle_timer(wire.now + 100)


def test_ready_second_version_is_ignored_and_leaves_rx_seq_alone(wire: Wire) -> None:
    connection = wire.establish()
    wire.inject_packet(VERSION, version(1))
    wire.expect_event(PacketIgnored("protocol 0, 12 bytes of payload"))
    wire.send(connection, b"x")
    wire.expect(seq=1, payload=b"x")


def test_session_state_changes_only_along_the_edges(wire: Wire) -> None:
    with pytest.raises(LocalProtocolError, match="no way from READY to READY"):
        wire.session._set_state(SessionState.READY)
    assert wire.session.state is SessionState.READY
