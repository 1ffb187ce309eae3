"""One connection of the simulated phone: each rule broken once, flow control both ways, and endings."""

from typing import Literal

import pytest

from tests.testing.wire import Wire, running
from usbmux.errors import LocalProtocolError
from usbmux.mux.segment import Flags, Segment
from usbmux.testing import PhoneOptions
from usbmux.testing.device_connection import ConnectionState, DeviceConnection

ACK = Flags.ACK


def phone(
    *,
    window: int = 131072,
    acknowledge: Literal["delivered", "received"] = "delivered",
    max_segment: int = 32768,
    reset_after: int | None = None,
    announce_window: bool = True,
) -> Wire:
    options = PhoneOptions(
        window=window,
        acknowledge=acknowledge,
        max_segment=max_segment,
        initial_sequence=500,
        reset_after=reset_after,
        reset_text=b"enough",
        announce_window=announce_window,
    )
    return running(options=options)


def expect_reset(wire: Wire, connection: DeviceConnection, violation: str, text: bytes) -> None:
    assert [(segment.flags, bytes(segment.payload)) for segment in wire.take_segments()] == [(Flags.RST, text)]
    assert len(wire.violations) == 1
    assert wire.violations[0].startswith(violation)
    assert connection.state is ConnectionState.CLOSED


def test_listen_accept_sends_syn_ack_once() -> None:
    wire = phone()
    wire.inject(Flags.SYN, 41)
    connection = wire.take_request()
    wire.expect()
    connection.accept()
    connection.accept()
    wire.expect("22 > 1000: [S.] seq 500 ack 42 win 131072 length 0")
    assert connection.state is ConnectionState.SYN_RECEIVED


def test_listen_reset_refuses() -> None:
    wire = phone()
    wire.inject(Flags.SYN, 41)
    wire.take_request().reset(b"no")
    wire.expect("22 > 1000: [R] seq 500:502 ack 42 win 131072 length 2 b'no'")


def test_listen_host_rst_ends_it_and_accept_does_nothing() -> None:
    wire = phone()
    wire.inject(Flags.SYN, 41)
    connection = wire.take_request()
    wire.inject(Flags.RST, 42)
    connection.accept()
    wire.expect()
    assert connection.state is ConnectionState.CLOSED
    assert wire.violations == []


def test_listen_ack_is_a_violation() -> None:
    wire = phone()
    wire.inject(Flags.SYN, 41)
    connection = wire.take_request()
    wire.inject(ACK, 42, 501)
    expect_reset(wire, connection, "handshake: expected nothing", b"segment before the connection was accepted")


def test_syn_received_ack_with_data_establishes() -> None:
    wire = phone()
    wire.inject(Flags.SYN, 41)
    connection = wire.take_request()
    connection.accept()
    wire.inject(ACK, 42, 501, b"data")
    assert connection.state is ConnectionState.ESTABLISHED
    assert connection.read(10) == b"data"
    assert wire.violations == []


@pytest.mark.parametrize("ack", [500, 502])
def test_syn_received_ack_that_misses_our_syn_is_a_violation(ack: int) -> None:
    wire = phone()
    wire.inject(Flags.SYN, 41)
    connection = wire.take_request()
    connection.accept()
    wire.take_segments()
    wire.inject(ACK, 42, ack)
    expect_reset(wire, connection, f"ack: expected 501 to 501, received {ack}", b"unexpected acknowledgement number")


@pytest.mark.parametrize("flags", [0, Flags.SYN, Flags.SYN | ACK, Flags.FIN | ACK, Flags.PSH | ACK, Flags.URG | ACK])
def test_established_other_flags_are_a_violation(flags: int) -> None:
    wire = phone()
    connection = wire.establish()
    wire.inject(flags, 1, 501)
    expect_reset(wire, connection, "flags: expected exactly ACK", b"unexpected flags")


@pytest.mark.parametrize("seq", [0, 2, 1 + (1 << 31)])
def test_established_other_seq_is_a_violation(seq: int) -> None:
    wire = phone()
    connection = wire.establish()
    wire.inject(ACK, seq, 501, b"x")
    expect_reset(wire, connection, f"seq: expected 1, received {seq}", b"unexpected sequence number")


@pytest.mark.parametrize("ack", [500, 502, 0])
def test_established_ack_outside_what_is_in_flight_is_a_violation(ack: int) -> None:
    wire = phone()
    connection = wire.establish()
    wire.inject(ACK, 1, ack)
    expect_reset(wire, connection, f"ack: expected 501 to 501, received {ack}", b"unexpected acknowledgement number")


def test_established_regressing_ack_is_a_violation() -> None:
    wire = phone()
    connection = wire.establish()
    connection.write(b"0123456789")
    wire.inject(ACK, 1, 505)
    wire.take_segments()
    wire.inject(ACK, 1, 504)
    expect_reset(wire, connection, "ack: expected 505 to 511, received 504", b"unexpected acknowledgement number")


def test_established_payload_beyond_window_is_amnesia() -> None:
    wire = phone(window=1024)
    connection = wire.establish()
    wire.inject(ACK, 1, 501, bytes(1024))
    assert wire.violations == []
    wire.inject(ACK, 1025, 501, b"x")
    expect_reset(wire, connection, "window: expected at most 0 bytes, received 1", b"connection suffers from amnesia")


def test_established_window_not_a_multiple_of_256_counts_as_the_wire_says() -> None:
    wire = phone(window=1023)
    connection = wire.establish()
    wire.inject(ACK, 1, 501, bytes(769))
    expect_reset(
        wire, connection, "window: expected at most 768 bytes, received 769", b"connection suffers from amnesia"
    )


def test_established_rst_with_wrong_seq_is_a_violation_and_ends() -> None:
    wire = phone()
    connection = wire.establish()
    wire.inject(Flags.RST, 7)
    wire.expect()
    assert wire.violations[0].startswith("seq: expected 1, received 7")
    assert connection.state is ConnectionState.CLOSED


@pytest.mark.parametrize("flags", [Flags.RST, Flags.RST | ACK])
def test_established_rst_ends_and_leaves_what_was_received(flags: int) -> None:
    wire = phone()
    connection = wire.establish()
    wire.inject(ACK, 1, 501, b"last words")
    wire.inject(flags, 11, 501)
    assert connection.state is ConnectionState.CLOSED
    assert connection.read(100) == b"last words"
    connection.flush()
    connection.write(b"too late")
    wire.expect()
    assert wire.violations == []


def test_closed_segment_is_a_mistake_of_the_caller() -> None:
    wire = phone()
    connection = wire.establish()
    connection.reset()
    with pytest.raises(LocalProtocolError):
        connection.receive_segment(Segment(1000, 22, 1, 501, ACK, 0))


def test_established_delivered_acknowledges_what_was_read() -> None:
    wire = phone()
    connection = wire.establish()
    wire.inject(ACK, 1, 501, b"0123456789")
    connection.flush()
    wire.expect()
    assert connection.read(4) == b"0123"
    assert connection.read(2) == b"45"
    connection.flush()
    connection.flush()
    wire.expect("22 > 1000: [.] seq 501 ack 7 win 131072 length 0")


def test_established_delivered_acknowledgement_rides_on_data() -> None:
    wire = phone()
    connection = wire.establish()
    wire.inject(ACK, 1, 501, b"ping")
    connection.read(4)
    connection.write(b"pong!")
    connection.flush()
    wire.expect("22 > 1000: [.] seq 501:506 ack 5 win 131072 length 5")


def test_established_received_acknowledges_at_once_and_shrinks_the_window() -> None:
    wire = phone(window=2048, acknowledge="received")
    connection = wire.establish()
    wire.inject(ACK, 1, 501, bytes(1024))
    wire.expect("22 > 1000: [.] seq 501 ack 1025 win 1024 length 0")
    connection.read(1024)
    connection.flush()
    wire.expect("22 > 1000: [.] seq 501 ack 1025 win 2048 length 0")
    wire.inject(ACK, 1025, 501, bytes(2048))
    wire.expect("22 > 1000: [.] seq 501 ack 3073 win 0 length 0")
    assert wire.violations == []


def test_established_window_not_announced_is_told_when_the_host_asks() -> None:
    wire = phone(window=1024, acknowledge="received", announce_window=False)
    connection = wire.establish()
    wire.inject(ACK, 1, 501, bytes(1024))
    wire.expect("22 > 1000: [.] seq 501 ack 1025 win 0 length 0")
    connection.read(1024)
    connection.flush()
    wire.expect()
    wire.inject(ACK, 1025, 501)
    wire.expect("22 > 1000: [.] seq 501 ack 1025 win 1024 length 0")
    assert wire.violations == []


def test_established_set_window_opens_and_shutting_keeps_the_promise() -> None:
    wire = phone(window=0)
    connection = wire.establish()
    connection.set_window(512)
    wire.expect("22 > 1000: [.] seq 501 ack 1 win 512 length 0")
    connection.set_window(0)
    wire.expect("22 > 1000: [.] seq 501 ack 1 win 0 length 0")
    wire.inject(ACK, 1, 501, bytes(512))
    assert wire.violations == []
    wire.inject(ACK, 513, 501, b"x")
    assert wire.violations[0].startswith("window: expected at most 0 bytes, received 1")


def test_established_write_keeps_to_the_hosts_window_and_max_segment() -> None:
    wire = phone(max_segment=300)
    connection = wire.establish(window=512)
    connection.write(bytes(400))
    connection.write(bytes(400))
    wire.expect(
        "22 > 1000: [.] seq 501:801 ack 1 win 131072 length 300",
        "22 > 1000: [.] seq 801:901 ack 1 win 131072 length 100",
        "22 > 1000: [.] seq 901:1013 ack 1 win 131072 length 112",
    )
    assert connection.unsent_length == 288
    wire.inject(ACK, 1, 801, window=256)
    wire.expect("22 > 1000: [.] seq 1013:1057 ack 1 win 131072 length 44")
    wire.inject(ACK, 1, 1057, window=0)
    wire.expect()
    wire.inject(ACK, 1, 1057, window=512)
    wire.expect("22 > 1000: [.] seq 1057:1301 ack 1 win 131072 length 244")
    before = connection.is_all_acknowledged
    wire.inject(ACK, 1, 1301)
    assert (before, connection.is_all_acknowledged) == (False, True)
    assert wire.violations == []


def test_established_small_writes_share_a_segment_once_the_window_opens() -> None:
    wire = phone()
    connection = wire.establish(window=0)
    for word in (b"one ", b"two ", b"three " * 42, b"rest"):
        connection.write(word)
    wire.inject(ACK, 1, 501, window=256)
    wire.inject(ACK, 1, 757, window=256)
    whole = b"one two " + b"three " * 42 + b"rest"
    assert [bytes(segment.payload) for segment in wire.take_segments()] == [whole[:256], whole[256:]]


def test_established_close_sends_the_rest_before_the_rst() -> None:
    wire = phone()
    connection = wire.establish(window=256)
    connection.write(bytes(300))
    connection.close()
    wire.expect("22 > 1000: [.] seq 501:757 ack 1 win 131072 length 256")
    wire.inject(ACK, 1, 757, b"dropped", window=256)
    wire.expect(
        "22 > 1000: [.] seq 757 ack 8 win 131072 length 0",
        "22 > 1000: [.] seq 757:801 ack 8 win 131072 length 44",
        "22 > 1000: [R] seq 801 ack 8 win 131072 length 0",
    )
    assert connection.state is ConnectionState.CLOSED


def test_established_sequence_numbers_wrap_both_ways() -> None:
    wire = running(options=PhoneOptions(initial_sequence=0xFFFFFFFE))
    wire.inject(Flags.SYN, 0xFFFFFFFF)
    connection = wire.take_request()
    connection.accept()
    wire.inject(ACK, 0, 0xFFFFFFFF, b"ab")
    connection.write(b"cdef")
    wire.inject(ACK, 2, 3, b"gh")
    assert connection.read(10) == b"abgh"
    assert connection.is_all_acknowledged
    assert wire.violations == []


def test_reset_after_counts_both_directions_and_cuts_what_it_sends() -> None:
    wire = phone(reset_after=10)
    connection = wire.establish()
    wire.inject(ACK, 1, 501, b"1234")
    connection.write(b"0123456789")
    data, reset = wire.take_segments()
    assert (bytes(data.payload), reset.flags, bytes(reset.payload)) == (b"012345", Flags.RST, b"enough")
    assert connection.state is ConnectionState.CLOSED


def test_reset_after_0_resets_as_soon_as_established() -> None:
    wire = phone(reset_after=0)
    wire.inject(Flags.SYN, 0)
    wire.take_request().accept()
    wire.inject(ACK, 1, 501)
    assert [segment.flags for segment in wire.take_segments()] == [Flags.SYN | ACK, Flags.RST]


def test_lenient_every_broken_rule_is_recorded_and_the_data_taken() -> None:
    wire = running(strict=False, options=PhoneOptions(initial_sequence=500, window=256))
    connection = wire.establish()
    wire.inject(Flags.PSH | ACK, 1, 501, b"a")
    wire.inject(ACK, 5, 501, b"b")
    wire.inject(ACK, 6, 400, b"c")
    wire.inject(ACK, 7, 501, bytes(300))
    assert connection.unread_length == 303
    assert [violation.split(":")[0] for violation in wire.violations] == ["flags", "seq", "ack", "window"]
    wire.expect()
