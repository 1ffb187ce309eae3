"""Framing and handshake of the simulated phone: each rule broken once, and legal traffic that breaks none."""

import struct

import pytest

from tests.testing.wire import HOST_PORT, OPEN_PORT, Wire, running
from usbmux.mux.packet import FIRST_RX_SEQ, ControlKind, MuxProtocol, Version, encode_v1, encode_v2
from usbmux.mux.segment import Flags, Segment
from usbmux.testing import PhoneOptions
from usbmux.testing.device import ConnectionProgressed, MuxState
from usbmux.testing.device_connection import ConnectionState

SYN_ACK = "22 > 1000: [S.] seq 500 ack 1 win 131072 length 0"
TOO_LARGE = "asyncReadComplete, message was too large ({} bytes, max = 65535)"


def data_segment(length: int) -> bytes:
    return Segment(HOST_PORT, OPEN_PORT, 1, 501, Flags.ACK, 131072, bytes(length)).encode()


def control_text(packet: bytes) -> tuple[int, str]:
    protocol, length = struct.unpack_from(">II", packet)
    assert (protocol, length) == (MuxProtocol.CONTROL, len(packet))
    return packet[16], packet[17:].decode()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_waiting_version_version_is_answered_in_version_1_framing(version: int) -> None:
    wire = Wire(version=version)
    wire.inject_version()
    assert wire.mux.take_packets() == [encode_v1(MuxProtocol.VERSION, Version(version, 0).encode())]
    assert wire.violations == []


@pytest.mark.parametrize("version", [1, 2])
def test_after_handshake_syn_is_answered_without_violation(version: int) -> None:
    wire = running(version=version)
    assert wire.mux.state is MuxState.RUNNING
    wire.inject(Flags.SYN, 0)
    wire.take_request().accept()
    wire.expect(SYN_ACK)
    assert wire.violations == []


def test_version_2_headers_carry_magic_own_count_and_hosts_count() -> None:
    wire = running(options=PhoneOptions(magic=0xFACEFACE))
    wire.mux.send_control(ControlKind.INFO, "one")
    wire.mux.send_control(ControlKind.WARNING, "two")
    first, second = wire.mux.take_packets()
    assert struct.unpack_from(">IIIHH", first) == (1, 20, 0xFACEFACE, 0, 0)
    assert struct.unpack_from(">IIIHH", second) == (1, 20, 0xFACEFACE, 1, 0)
    assert control_text(second) == (5, "two")


def test_control_texts_option_sends_them_after_setup() -> None:
    wire = running(options=PhoneOptions(control_texts=((ControlKind.INFO, "hello"), (ControlKind.ERROR, "oh"))))
    assert [control_text(packet) for packet in wire.mux.take_packets()] == [(7, "hello"), (3, "oh")]


def test_answer_version_off_version_is_not_answered() -> None:
    wire = Wire(options=PhoneOptions(answer_version=False))
    wire.inject_version()
    assert wire.mux.take_packets() == []


def test_answer_syn_off_syn_and_late_rst_meet_silence() -> None:
    wire = running(options=PhoneOptions(answer_syn=False))
    wire.inject(Flags.SYN, 0)
    wire.inject(Flags.RST, 1)
    wire.expect()
    assert wire.mux.next_event() is None
    assert wire.violations == []


def expect_silent(wire: Wire, violation: str) -> None:
    """One violation; nothing is answered or recorded any more until the next VERSION."""
    assert len(wire.violations) == 1
    assert wire.violations[0].startswith(violation)
    wire.inject(Flags.SYN, 0)
    wire.expect()
    wire.shake_hands()
    wire.inject(Flags.SYN, 0)
    wire.take_request().accept()
    wire.expect(SYN_ACK)
    assert len(wire.violations) == 1


def test_waiting_version_other_packet_breaks_framing() -> None:
    wire = Wire()
    wire.inject_setup()
    expect_silent(wire, "handshake: expected VERSION")


def test_waiting_version_major_1_breaks_framing() -> None:
    wire = Wire()
    wire.inject_version(major=1)
    assert wire.mux.take_packets() == []
    expect_silent(wire, "VERSION: expected 2.0, received 1.0")


def test_waiting_version_short_version_breaks_framing() -> None:
    wire = Wire()
    wire.transfer(encode_v1(MuxProtocol.VERSION, bytes(8)))
    expect_silent(wire, "handshake: expected VERSION of 20 bytes")


def test_waiting_setup_tcp_breaks_framing() -> None:
    wire = Wire()
    wire.inject_version()
    wire.mux.take_packets()
    wire.inject(Flags.SYN, 0)
    expect_silent(wire, "protocol: expected SETUP, received 6")


def test_waiting_setup_wrong_rx_seq_breaks_framing() -> None:
    wire = Wire()
    wire.inject_version()
    wire.mux.take_packets()
    wire.inject_packet(MuxProtocol.SETUP, b"\x07", rx_seq=0)
    expect_silent(wire, "rx_seq of SETUP: expected 0xffff, received 0x0")


@pytest.mark.parametrize("payload", [b"", b"\x08", b"\x07\x00"])
def test_waiting_setup_wrong_payload_breaks_framing(payload: bytes) -> None:
    wire = Wire()
    wire.inject_version()
    wire.mux.take_packets()
    wire.inject_packet(MuxProtocol.SETUP, payload, rx_seq=FIRST_RX_SEQ)
    expect_silent(wire, "payload of SETUP: expected b'\\x07'")


def test_waiting_setup_count_not_from_0_breaks_framing() -> None:
    wire = Wire()
    wire.inject_version()
    wire.mux.take_packets()
    wire.tx_seq = 1
    wire.inject_setup()
    expect_silent(wire, "tx_seq: expected 0, received 1")


@pytest.mark.parametrize("version", [1, 2])
def test_running_setup_breaks_framing(version: int) -> None:
    wire = running(version=version)
    wire.inject_setup()
    expect_silent(wire, "protocol: expected TCP, received 2")


@pytest.mark.parametrize("tx_seq", [0, 2, 0xFFFF])
def test_running_wrong_count_breaks_framing(tx_seq: int) -> None:
    wire = running()
    wire.tx_seq = tx_seq
    wire.inject(Flags.SYN, 0)
    expect_silent(wire, f"tx_seq: expected 1, received {tx_seq}")


def test_running_count_wraps_after_65535_without_violation() -> None:
    wire = running(strict=False)  # which allows one jump to the end
    wire.tx_seq = 0xFFFE
    for _ in range(4):
        wire.inject(Flags.RST, 0)
    assert wire.tx_seq == 2
    assert wire.violations == ["tx_seq: expected 1, received 65534"]


def test_running_wrong_magic_breaks_framing() -> None:
    wire = running()
    wire.transfer(encode_v2(MuxProtocol.TCP, data_segment(0), 1, 0, magic=0xFACEFACE))
    expect_silent(wire, "magic: expected 0xfeedface, received 0xfaceface")


def test_running_version_1_header_in_version_2_breaks_framing() -> None:
    wire = running()
    wire.transfer(encode_v1(MuxProtocol.TCP, data_segment(0)))
    expect_silent(wire, "magic: expected 0xfeedface")


def test_running_header_cut_short_breaks_framing() -> None:
    wire = running()
    wire.transfer(encode_v1(MuxProtocol.TCP, b""))
    expect_silent(wire, "header: expected 16 bytes, received 8")


def test_running_data_offset_6_breaks_framing() -> None:
    wire = running()
    segment = bytearray(data_segment(4))
    segment[12] = 6 << 4
    wire.inject_packet(MuxProtocol.TCP, bytes(segment))
    expect_silent(wire, "segment: TCP header with data offset 6")


def test_running_two_packets_in_one_transfer_break_framing() -> None:
    wire = running()
    wire.transfer(encode_v2(6, data_segment(0), 1, 0) + encode_v2(6, data_segment(0), 2, 0))
    expect_silent(wire, "transfer: expected one packet of 36 bytes, received 72 bytes")


def test_running_packet_over_two_transfers_breaks_framing() -> None:
    wire = running()
    packet = encode_v2(MuxProtocol.TCP, data_segment(100), 1, 0)
    wire.transfer(packet[:50])
    expect_silent(wire, "transfer: expected one packet of 136 bytes, received 50 bytes")


def test_running_empty_transfer_breaks_framing() -> None:
    wire = running()
    wire.transfer(b"")
    expect_silent(wire, "transfer: expected a packet, received 0 bytes")


def test_running_transfer_in_several_requests_is_one_packet() -> None:
    wire = running()
    connection = wire.establish()
    packet = encode_v2(MuxProtocol.TCP, data_segment(1400), wire.tx_seq, 0)
    for start in range(0, len(packet), 512):
        wire.mux.receive_data(packet[start : start + 512])
    assert connection.unread_length == 1400
    assert wire.violations == []


def test_running_missing_zero_length_packet_breaks_framing() -> None:
    wire = running()
    wire.establish()
    wire.mux.receive_data(encode_v2(MuxProtocol.TCP, data_segment(1024 - 36), wire.tx_seq, 0))
    assert wire.violations == []
    wire.tx_seq += 1
    wire.inject(Flags.ACK, 1 + 1024 - 36, 501)
    assert wire.violations == ["transfer: expected one packet of 1024 bytes, received 1060 bytes"]
    assert wire.mux.state is MuxState.SILENT


def test_running_fused_packets_over_65535_bytes_get_the_phones_words() -> None:
    wire = running()
    wire.establish()
    wire.mux.receive_data(encode_v2(MuxProtocol.TCP, data_segment(49152 - 36), wire.tx_seq, 0))
    wire.mux.receive_data(encode_v2(MuxProtocol.TCP, data_segment(20000 - 36), wire.tx_seq + 1, 0))
    (packet,) = wire.mux.take_packets()
    assert control_text(packet) == (ControlKind.ERROR, TOO_LARGE.format(69152))
    expect_silent(wire, TOO_LARGE.format(69152))


@pytest.mark.parametrize(("length", "is_legal"), [(65535, True), (65536, False)])
def test_running_packet_of_65535_bytes_is_the_longest(length: int, is_legal: bool) -> None:
    wire = running()
    connection = wire.establish()
    wire.inject_packet(MuxProtocol.TCP, data_segment(length - 36))
    assert connection.unread_length == (length - 36 if is_legal else 0)
    assert wire.violations == ([] if is_legal else [TOO_LARGE.format(length)])


def test_running_version_restarts_everything() -> None:
    wire = running()
    connection = wire.establish()
    while wire.mux.next_event() is not None:
        pass
    wire.shake_hands()
    assert connection.state is ConnectionState.CLOSED
    assert wire.mux.next_event() == ConnectionProgressed(connection)
    wire.inject(Flags.SYN, 0)
    wire.take_request().accept()
    wire.expect(SYN_ACK)
    assert wire.violations == []


def test_running_syn_to_closed_port_is_refused() -> None:
    wire = running()
    wire.inject(Flags.SYN, 7, port=23)
    wire.expect("23 > 1000: [R] seq 0:18 ack 8 win 0 length 18 b'connection refused'")
    assert wire.violations == []


def test_running_data_for_unknown_connection_is_reset_without_violation() -> None:
    wire = running()
    wire.inject(Flags.ACK, 100, 300, b"1234")
    wire.expect("22 > 1000: [R] seq 300:318 ack 104 win 0 length 18 b'no such connection'")
    assert wire.violations == []


def test_running_rst_for_unknown_connection_is_ignored() -> None:
    wire = running()
    wire.inject(Flags.RST, 100)
    wire.expect()
    assert wire.violations == []


@pytest.mark.parametrize("flags", [0, Flags.SYN | Flags.ACK, Flags.FIN | Flags.ACK])
def test_running_odd_flags_for_unknown_connection_are_a_violation(flags: int) -> None:
    wire = running()
    wire.inject(flags, 0)
    assert len(wire.take_segments()) == 1
    assert wire.violations[0].startswith("flags: expected SYN, received")


def test_running_syn_with_payload_is_a_violation_and_refused() -> None:
    wire = running()
    wire.inject(Flags.SYN, 0, payload=b"early")
    assert [segment.flags for segment in wire.take_segments()] == [Flags.RST]
    assert wire.violations[0].startswith("SYN: expected no payload, received 5 bytes")


def test_lenient_broken_framing_is_recorded_and_survived() -> None:
    wire = running(strict=False)
    wire.tx_seq = 9
    wire.inject(Flags.SYN, 0)
    wire.take_request().accept()
    wire.expect(SYN_ACK)
    assert wire.violations == ["tx_seq: expected 1, received 9"]


def test_tamper_option_changes_and_drops_segments() -> None:
    def tamper(segment: Segment) -> Segment | None:
        return None if segment.flags & Flags.SYN else segment

    wire = running(options=PhoneOptions(tamper=tamper))
    wire.inject(Flags.SYN, 0)
    wire.take_request().accept()
    wire.inject(Flags.SYN, 0, port=23)
    assert [segment.source_port for segment in wire.take_segments()] == [23]
