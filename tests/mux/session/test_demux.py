from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import CONTROL, FIRST, PHONE_PORT, SETUP, SYN_ACK, TCP
from usbmux.mux.events import CloseCause, ConnectionClosed, DeviceMessage, PacketIgnored
from usbmux.mux.segment import Flags, Segment
from usbmux.mux.session import MAX_TEXT_LENGTH
from usbmux.mux.stray_resets import MAX_STRAY_RESETS

if TYPE_CHECKING:
    from tests.mux.conftest import MakesWire
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection


def expect_ignored(wire: Wire, *texts: str) -> None:
    event = wire.session.next_event()
    assert isinstance(event, PacketIgnored), event
    assert all(text in event.reason for text in texts), event.reason


# Segments for no known pair of ports (T5).


def test_stray_segment_is_reset_with_its_own_numbers(wire: Wire) -> None:
    wire.inject(destination=99, seq=500, ack=7000, payload=b"data")
    wire.expect_event(PacketIgnored("no such connection: 62078 > 99: [.] seq 500:504 ack 7000 win 65536 length 4"))
    wire.expect(flags=Flags.RST, source=99, seq=7000, ack=504)


def test_stray_syn_counts_one(wire: Wire) -> None:
    wire.inject(destination=99, flags=SYN_ACK, seq=500, ack=1)
    expect_ignored(wire, "no such connection")
    wire.expect(flags=Flags.RST, source=99, seq=1, ack=501)


def test_stray_segment_at_the_wrap_is_reset_beyond_it(wire: Wire) -> None:
    wire.inject(destination=99, flags=Flags.SYN, seq=2**32 - 2, ack=0, payload=b"abc")
    expect_ignored(wire, "[S]")
    wire.expect(flags=Flags.RST, source=99, seq=0, ack=2)


@pytest.mark.parametrize("flags", [Flags.RST, Flags.RST | Flags.ACK])
def test_stray_reset_is_not_answered(wire: Wire, flags: int) -> None:
    wire.inject(destination=99, flags=flags, payload=b"no")


def test_stray_segment_for_a_port_in_use_but_from_another_port(wire: Wire, established: TcpConnection) -> None:
    wire.inject(source=22, payload=b"data")
    expect_ignored(wire, "22 > 1:")
    wire.expect(flags=Flags.RST, destination=22, seq=1, ack=FIRST + 4)
    wire.inject(payload=b"fine")
    wire.expect_data(established, b"fine")


def test_stray_flood_from_many_ports_is_answered_64_times(wire: Wire) -> None:
    for port in range(1000, 1000 + MAX_STRAY_RESETS + 10):
        wire.inject(destination=port, seq=port)
        if port < 1000 + MAX_STRAY_RESETS:
            expect_ignored(wire, f"> {port}:")
        assert wire.session.next_event() is None
    for port in range(1000, 1000 + MAX_STRAY_RESETS):
        wire.expect(flags=Flags.RST, source=port, seq=1, ack=port)
    wire.expect_nothing()
    wire.inject(destination=99, seq=5000)
    expect_ignored(wire, "seq 5000 ")
    wire.expect(flags=Flags.RST, source=99, seq=1, ack=5000)


def test_stray_flood_of_one_connection_is_answered_once_and_others_as_well(wire: Wire) -> None:
    for seq in range(MAX_STRAY_RESETS + 10):
        wire.inject(destination=99, seq=seq, ack=seq)
    expect_ignored(wire, "seq 0 ")
    wire.inject(destination=98, seq=7)
    expect_ignored(wire, "> 98:")
    wire.expect(flags=Flags.RST, source=99, seq=MAX_STRAY_RESETS + 9, ack=MAX_STRAY_RESETS + 9)
    wire.expect(flags=Flags.RST, source=98, seq=1, ack=7)


# Ports that we have reset (T16).


@pytest.fixture
def crossed(wire: Wire, established: TcpConnection) -> Wire:
    """The first connection was reset by us a moment ago."""
    wire.abort(established)
    wire.expect_closed(established, CloseCause.ABORTED)
    wire.expect(flags=Flags.RST)
    return wire


def test_resting_port_data_that_crossed_our_reset_is_dropped(crossed: Wire) -> None:
    crossed.inject(payload=b"crossed")
    crossed.advance(9.9)
    crossed.inject(seq=FIRST + 7, payload=b"still")
    crossed.inject(flags=Flags.RST)


def test_resting_port_after_the_quarantine_is_stray_again(crossed: Wire) -> None:
    crossed.advance(10)
    crossed.inject(payload=b"late")
    expect_ignored(crossed, "no such connection")
    crossed.expect(flags=Flags.RST, seq=1, ack=FIRST + 4)


def test_resting_port_syn_is_reset(crossed: Wire) -> None:
    crossed.inject(flags=SYN_ACK, seq=5, ack=1)
    expect_ignored(crossed, "no such connection")
    crossed.expect(flags=Flags.RST, seq=1, ack=6)


def test_resting_port_is_not_used_for_the_next_connection(crossed: Wire) -> None:
    assert crossed.connect().local_port == 2


def test_port_reset_by_the_phone_is_stray_at_once(wire: Wire, established: TcpConnection) -> None:
    wire.inject(flags=Flags.RST)
    wire.expect_closed(established, CloseCause.RESET)
    wire.inject(payload=b"out of its mind")
    expect_ignored(wire, "no such connection")
    wire.expect(flags=Flags.RST, seq=1, ack=FIRST + 15)


def test_reset_sent_later_the_quarantine_begins_with_it(wire: Wire, established: TcpConnection) -> None:
    wire.abort(established)
    wire.expect_closed(established, CloseCause.ABORTED)
    wire.advance(7)  # no transfer was free
    wire.expect(flags=Flags.RST)
    wire.advance(9.9)
    wire.inject(payload=b"crossed")
    wire.expect_nothing()


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "unanswered"])
def test_syn_sent_ended_the_quarantine_begins_with_its_end(
    wire: Wire, syn_sent: TcpConnection, is_closed: bool
) -> None:
    wire.advance(3)
    if is_closed:
        wire.close(syn_sent)
        wire.expect_closed(syn_sent, CloseCause.ABORTED)
    else:
        wire.advance(0.5)
        wire.expect_closed(syn_sent, CloseCause.UNANSWERED, "no answer")
    wire.advance(9.9)
    wire.inject(payload=b"crossed")
    wire.expect_nothing()


# Several connections.


def test_segments_of_one_transfer_reach_their_connections(wire: Wire) -> None:
    first, second, same_port = wire.establish(1), wire.establish(2), wire.establish(2)
    wire.inject_data(
        wire.segment(source=2, destination=3, payload=b"third")
        + wire.segment(source=1, destination=1, payload=b"first")
        + wire.segment(source=2, destination=2, payload=b"second")
        + wire.segment(source=1, destination=1, seq=FIRST + 5, payload=b"more")
    )
    wire.expect_data(same_port, b"third")
    wire.expect_data(first, b"firstmore")
    wire.expect_data(second, b"second")


def test_transfers_that_ended_together_are_taken_one_after_the_other(wire: Wire, established: TcpConnection) -> None:
    pieces = [wire.packet(CONTROL, b"\x05first")]
    pieces += [wire.segment(seq=FIRST + 3 * number, payload=b"%03d" % number) for number in range(5)]
    pieces += [wire.packet(CONTROL, b"\x05second"), wire.segment(seq=FIRST + 15, payload=b"end")]
    pieces[3:5] = [pieces[3] + pieces[4][:30], pieces[4][30:]]
    wire.session.receive_pieces(pieces, wire.now)
    wire.expect_event(DeviceMessage(5, "first"))
    wire.expect_data(established, b"000001002003004end")
    wire.expect_event(DeviceMessage(5, "second"))


def test_packet_of_another_kind_looks_like_an_ordinary_segment_it_is_none(
    wire: Wire, established: TcpConnection
) -> None:
    lookalike = Segment(PHONE_PORT, established.local_port, FIRST, 1, Flags.ACK, 65536, b"text").encode()
    wire.inject_packet(CONTROL, lookalike)
    event = wire.session.next_event()
    assert isinstance(event, DeviceMessage), event
    wire.inject(payload=b"fine")
    wire.expect_data(established, b"fine")


def test_data_looks_like_the_next_packet_where_a_transfer_begins_it_is_data(
    wire: Wire, established: TcpConnection
) -> None:
    lookalike = wire.segment(payload=b"never sent")
    wire.phone_tx_seq -= 1
    packet = wire.segment(payload=b"x" * 20 + lookalike)
    wire.inject_data(packet[: -len(lookalike)])
    wire.inject_data(packet[-len(lookalike) :])
    wire.expect_data(established, b"x" * 20 + lookalike)
    wire.expect_nothing()


@pytest.mark.parametrize("length", [8, 19], ids=str)
def test_header_cut_short_amid_a_transfer_is_reset_and_nothing_behind_it_is_read_as_its_rest(
    wire: Wire, established: TcpConnection, length: int
) -> None:
    other = wire.establish()
    cut = unreadable(wire, length=length)
    wire.inject_data(cut + wire.segment(payload=b"fine", destination=2))
    wire.expect_closed(established, CloseCause.VIOLATED, "cut short")
    wire.expect_data(other, b"fine")
    assert wire.expect_packet()[0] == TCP


def test_violation_resets_only_its_connection(wire: Wire) -> None:
    bad, good = wire.establish(1), wire.establish(2)
    wire.inject(source=1, seq=5, payload=b"gap")
    wire.inject(source=2, destination=2, payload=b"fine")
    wire.expect_closed(bad, CloseCause.VIOLATED, "expected seq 1001")
    wire.expect_data(good, b"fine")
    protocol, payload = wire.expect_packet()
    assert (protocol, payload[:4], payload[13]) == (TCP, b"\0\1\0\1", Flags.RST)


# Other packets (M5, M11).


@pytest.mark.parametrize("protocol", [SETUP, 3, 7, 2**32 - 1])
def test_other_protocol_is_ignored(wire: Wire, protocol: int) -> None:
    wire.inject_packet(protocol, b"abc")
    wire.expect_event(PacketIgnored(f"protocol {protocol}, 3 bytes of payload"))


def unreadable(
    wire: Wire, *, length: int | None = None, offset: int = 5, source: int = PHONE_PORT, destination: int = 1
) -> bytes:
    """A TCP packet of the phone whose header is cut short or has another data offset."""
    data = bytearray(Segment(source, destination, FIRST, 1, Flags.ACK, 65536, b"data").encode())
    data[12] = offset << 4
    return wire.packet(TCP, bytes(data[:length]))


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ({"offset": 6}, "TCP header with data offset 6"),
        ({"offset": 4}, "TCP header with data offset 4"),
        ({"length": 19}, "TCP header cut short at 19 bytes"),
        ({"length": 4}, "TCP header cut short at 4 bytes"),
    ],
    ids=str,
)
def test_established_header_is_unreadable_is_reset(
    wire: Wire, established: TcpConnection, header: dict[str, int], text: str
) -> None:
    wire.inject_data(unreadable(wire, **header))
    wire.expect_violation(established, text)


@pytest.mark.parametrize("ports", [{"source": 22}, {"destination": 2}, {"length": 3}, {"length": 0}], ids=str)
def test_header_of_no_connection_is_unreadable_is_ignored(
    wire: Wire, established: TcpConnection, ports: dict[str, int]
) -> None:
    wire.inject_data(unreadable(wire, offset=6, **ports))
    expect_ignored(wire, "TCP header")
    wire.inject(payload=b"fine")
    wire.expect_data(established, b"fine")


@pytest.mark.parametrize(
    ("payload", "kind", "text"),
    [
        (b"\x03asyncReadComplete, message was too large\n", 3, "asyncReadComplete, message was too large"),
        (b"\x05text\0", 5, "text"),
        (b"\x07", 7, ""),
        (b"", 0, ""),
        (b"\xffunknown kind", 255, "unknown kind"),
        (b"\x07one\ntwo\x1b[31m\x00three", 7, "one?two?[31m?three"),
        ("\x07caf\u00e9 \u202egnirts".encode(), 7, "caf\u00e9 ?gnirts"),
        (b"\x07\xff\xfe", 7, "\ufffd\ufffd"),
        (b"\x07" + b"x" * 5000, 7, "x" * MAX_TEXT_LENGTH),
    ],
)
def test_control_text_is_shortened_and_cleaned(wire: Wire, payload: bytes, kind: int, text: str) -> None:
    wire.inject_packet(CONTROL, payload)
    wire.expect_event(DeviceMessage(kind, text))


def test_version_1_control_and_stray_segments_are_understood(make_wire: MakesWire) -> None:
    wire = make_wire(version=1)
    wire.shake_hands()
    wire.inject_data(wire.packet(CONTROL, b"\x05text") + wire.segment(destination=99, seq=500, payload=b"data"))
    wire.expect_event(DeviceMessage(5, "text"))
    expect_ignored(wire, f"{PHONE_PORT} > 99")
    wire.expect(flags=Flags.RST, source=99, seq=1, ack=504)


def test_reset_not_sent_yet_for_longer_than_the_quarantine_what_comes_is_not_answered_before_it(
    wire: Wire, established: TcpConnection
) -> None:
    wire.abort(established, "stop")
    wire.expect_closed(established, CloseCause.ABORTED, "stop")
    wire.now += 60  # no transfer was free
    wire.inject(payload=b"crossed", ack=1)
    wire.expect(flags=Flags.RST, payload=b"stop")
    wire.now += 9
    wire.inject(payload=b"crossed", ack=1)  # the phone may have heard of it only now
    wire.expect_nothing()


def test_reset_not_sent_yet_its_port_is_not_used_again(wire: Wire) -> None:
    first = wire.establish()
    wire.abort(first, "stop")
    wire.expect_closed(first, CloseCause.ABORTED, "stop")
    wire.now += 60
    wire.session._ports._last = first.local_port - 1
    assert wire.session.connect(1, wire.now).local_port != first.local_port
    wire.expect(flags=Flags.RST, payload=b"stop")
    wire.expect(flags=Flags.SYN, seq=0, ack=0, source=2, destination=1)
    wire.advance(5)
    assert isinstance(wire.session.next_event(), ConnectionClosed)
