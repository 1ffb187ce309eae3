from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import FIRST, OUR_WINDOW, PHONE_ISN, PHONE_PORT, PHONE_WINDOW, SYN_ACK
from usbmux.errors import LocalProtocolError
from usbmux.mux.events import CloseCause, ConnectionClosed, ConnectionEstablished, PacketIgnored
from usbmux.mux.segment import Flags
from usbmux.mux.session import MuxSession
from usbmux.mux.settings import MuxSettings
from usbmux.mux.tcp_state import TcpState

if TYPE_CHECKING:
    from tests.mux.conftest import MakesWire
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection

UNANSWERED = "no answer to SYN within 3.5 s"


def expect_stray(wire: Wire) -> None:
    assert isinstance(wire.session.next_event(), PacketIgnored)


def test_ready_connect_sends_syn(wire: Wire) -> None:
    connection = wire.session.connect(PHONE_PORT, wire.now)
    wire.expect(flags=Flags.SYN, seq=0, ack=0, source=1, destination=PHONE_PORT)
    wire.expect_nothing()
    assert connection.state is TcpState.SYN_SENT
    assert connection.send_room == 0
    assert str(connection) == "1 > 62078 SYN_SENT"
    wire.advance(4)
    wire.expect_closed(connection, CloseCause.UNANSWERED, UNANSWERED)


def test_ready_connect_counts_source_ports(wire: Wire) -> None:
    assert [wire.establish(22).local_port for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("port", [-1, 65536, 2**32])
def test_ready_connect_to_a_number_that_is_no_port_is_refused(wire: Wire, port: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"{port} is not a port"):
        wire.session.connect(port, wire.now)


@pytest.mark.parametrize("port", [0, 65535])
def test_ready_connect_to_the_least_and_the_greatest_number_sends_syn(wire: Wire, port: int) -> None:
    wire.close(wire.connect(port))
    assert wire.session.next_event() is not None


def test_ready_connect_without_a_free_port_is_refused(wire: Wire) -> None:
    wire.session._ports._used.update(range(1, 65536))
    with pytest.raises(LocalProtocolError, match="all source ports are in use"):
        wire.session.connect(22, wire.now)


def test_syn_sent_syn_ack_establishes_and_is_acknowledged(wire: Wire, syn_sent: TcpConnection) -> None:
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN)
    wire.expect_event(ConnectionEstablished(syn_sent))
    wire.expect(seq=1, ack=FIRST)
    assert syn_sent.state is TcpState.ESTABLISHED
    assert syn_sent.send_room == PHONE_WINDOW
    wire.advance(60)


def test_syn_sent_syn_ack_at_the_wrap_is_acknowledged_with_0(wire: Wire, syn_sent: TcpConnection) -> None:
    wire.inject(flags=SYN_ACK, seq=2**32 - 1)
    wire.expect_event(ConnectionEstablished(syn_sent))
    wire.expect(seq=1, ack=0)


def test_syn_sent_syn_ack_is_acknowledged_before_data(wire: Wire, syn_sent: TcpConnection) -> None:
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN)
    wire.expect_event(ConnectionEstablished(syn_sent))
    wire.send(syn_sent, b"hello")
    wire.expect(seq=1)
    wire.expect(seq=1, payload=b"hello")


def test_syn_sent_syn_ack_with_data_behind_it_in_the_same_transfer(wire: Wire, syn_sent: TcpConnection) -> None:
    wire.inject_data(wire.segment(flags=SYN_ACK, seq=PHONE_ISN) + wire.segment(payload=b"220 ready"))
    wire.expect_event(ConnectionEstablished(syn_sent))
    wire.expect_data(syn_sent, b"220 ready")
    wire.expect(seq=1, ack=FIRST)


def test_syn_sent_syn_ack_with_more_than_the_window_behind_it_resets(wire: Wire, syn_sent: TcpConnection) -> None:
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN)
    wire.expect_event(ConnectionEstablished(syn_sent))
    seq = wire.receive(syn_sent, OUR_WINDOW)
    wire.inject(seq=seq, payload=b"x")
    wire.expect_violation(syn_sent, "room for 0 bytes")


@pytest.mark.parametrize("flags", [Flags.RST, Flags.RST | Flags.ACK])
def test_syn_sent_rst_refuses(wire: Wire, syn_sent: TcpConnection, flags: int) -> None:
    wire.inject(flags=flags, seq=0)
    wire.expect_closed(syn_sent, CloseCause.REFUSED)
    assert syn_sent.state is TcpState.CLOSED
    wire.advance(4)


def test_syn_sent_rst_with_text_refuses_with_that_text(wire: Wire, syn_sent: TcpConnection) -> None:
    wire.inject(flags=Flags.RST, seq=0, payload=b"nobody\tlistens\n")
    wire.expect_event(ConnectionClosed(syn_sent, CloseCause.REFUSED, "nobody?listens"))


def test_syn_sent_refused_port_need_not_rest(make_wire: MakesWire) -> None:
    wire = make_wire()
    wire.shake_hands()
    for number in range(1, 4):
        connection = wire.connect()
        wire.inject(flags=Flags.RST, seq=0, destination=number)
        wire.expect_closed(connection, CloseCause.REFUSED)
    wire.session._ports._last = 0
    assert wire.establish().local_port == 1


@pytest.mark.parametrize("ack", [0, 2, 2**31, 2**32 - 1])
def test_syn_sent_syn_ack_of_another_syn_resets(wire: Wire, syn_sent: TcpConnection, ack: int) -> None:
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN, ack=ack)
    wire.expect_violation(syn_sent, "expected SYN+ACK with ack 1, got 62078 > 1: [S.]", f"ack {ack} ", ack=0)


@pytest.mark.parametrize("flags", [0, Flags.ACK, Flags.SYN, SYN_ACK | Flags.FIN, SYN_ACK | Flags.PSH, 0x40 | SYN_ACK])
def test_syn_sent_other_flags_reset(wire: Wire, syn_sent: TcpConnection, flags: int) -> None:
    wire.inject(flags=flags, seq=PHONE_ISN)
    wire.expect_violation(syn_sent, "expected SYN+ACK with ack 1, got 62078 > 1:", ack=0)


def test_syn_sent_syn_ack_with_data_resets(wire: Wire, syn_sent: TcpConnection) -> None:
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN, payload=b"early")
    wire.expect_violation(syn_sent, "expected SYN+ACK", "length 5", ack=0)


def test_syn_due_answer_before_the_question_is_not_believed(wire: Wire) -> None:
    connection = wire.session.connect(PHONE_PORT, wire.now)
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN, ack=0)
    wire.expect_closed(connection, CloseCause.VIOLATED, "expected nothing before our SYN, got 62078 > 1: [S.]")


def test_syn_sent_without_answer_is_unanswered_at_the_deadline(wire: Wire, syn_sent: TcpConnection) -> None:
    assert wire.session.deadline == wire.now + 3.5
    wire.advance(3.49)
    wire.session.handle_timer(wire.now)
    wire.expect_nothing()
    wire.advance(0.01)
    wire.expect_closed(syn_sent, CloseCause.UNANSWERED, UNANSWERED)
    wire.advance(60)


def test_syn_sent_timeout_is_a_setting(make_wire: MakesWire) -> None:
    wire = make_wire(MuxSettings(syn_timeout_s=0.5))
    wire.shake_hands()
    connection = wire.connect()
    wire.advance(0.5)
    wire.expect_closed(connection, CloseCause.UNANSWERED, "no answer to SYN within 0.5 s")


def test_unanswered_late_syn_ack_is_reset_and_what_follows_it_dropped(wire: Wire, syn_sent: TcpConnection) -> None:
    wire.advance(3.5)
    wire.expect_closed(syn_sent, CloseCause.UNANSWERED, UNANSWERED)
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN)
    expect_stray(wire)
    wire.expect(flags=Flags.RST, seq=1, ack=FIRST)
    wire.inject(payload=b"banner")


def test_syn_sent_close_says_nothing_until_the_phone_answers(wire: Wire, syn_sent: TcpConnection) -> None:
    wire.close(syn_sent)
    wire.expect_closed(syn_sent, CloseCause.ABORTED)
    wire.expect_nothing()
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN)
    expect_stray(wire)
    wire.expect(flags=Flags.RST, seq=1, ack=FIRST)


def test_syn_sent_abort_resets(wire: Wire, syn_sent: TcpConnection) -> None:
    wire.abort(syn_sent, "changed my mind")
    wire.expect_closed(syn_sent, CloseCause.ABORTED, "changed my mind")
    wire.expect(flags=Flags.RST, seq=1, ack=0, payload=b"changed my mind")


def test_syn_due_abort_says_nothing_to_a_phone_that_heard_nothing(wire: Wire) -> None:
    connection = wire.session.connect(PHONE_PORT, wire.now)
    wire.abort(connection, "changed my mind")
    wire.expect_closed(connection, CloseCause.ABORTED, "changed my mind")


def test_syn_sent_shutdown_write_has_no_effect(wire: Wire, syn_sent: TcpConnection) -> None:
    wire.shutdown_write(syn_sent)
    assert syn_sent.state is TcpState.SYN_SENT
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN)
    wire.expect_event(ConnectionEstablished(syn_sent))
    wire.expect()
    wire.send(syn_sent, b"x")
    wire.expect(payload=b"x")


@pytest.mark.parametrize("data", [b"", b"early"])
def test_syn_sent_send_is_refused(wire: Wire, syn_sent: TcpConnection, data: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="do not fit into send room 0"):
        wire.send(syn_sent, data)


def test_syn_sent_acknowledge_is_refused(wire: Wire, syn_sent: TcpConnection) -> None:
    with pytest.raises(LocalProtocolError, match="acknowledging 1 bytes that were not received"):
        wire.acknowledge(syn_sent, 1)


def test_default_settings_are_used_without_settings() -> None:
    assert MuxSession(0.0).settings == MuxSettings()
