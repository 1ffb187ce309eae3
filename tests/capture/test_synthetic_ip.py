from __future__ import annotations

import struct
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.capture.synthetic_ip import event_packet, host_address, internet_checksum, phone_address, tcp_packet
from usbmux.mux.packet import HEADER_LENGTH, MAX_PACKET_LENGTH
from usbmux.mux.segment import Flags, Segment

HOST = host_address(1)
PHONE = phone_address("00008030-001A2B3C4D5E6F01")
LONGEST = MAX_PACKET_LENGTH - HEADER_LENGTH[1] - 20


def plain_sum(data: bytes) -> int:
    """RFC 1071, word by word."""
    total: int = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def split(packet: bytes) -> tuple[bytes, bytes]:
    """The IPv6 header and what is behind it."""
    return packet[:40], packet[40:]


def window_field(packet: bytes) -> int:
    return int.from_bytes(packet[40 + 14 : 40 + 16])


def test_addresses_are_of_one_private_network_and_stay_the_same() -> None:
    assert str(IPv6Address(HOST)) == "fd00::1"
    assert str(IPv6Address(PHONE)) == "fd00::b6eb:a4dd:9dc0:97ee"
    assert phone_address("other") != PHONE


def test_syn_carries_the_scale_option_and_an_unscaled_window() -> None:
    packet = tcp_packet(HOST, PHONE, Segment(1, 62078, 0, 0, Flags.SYN, 16384))
    header, tcp = split(packet)
    assert header == bytes.fromhex("60000000 0018 06 40") + HOST + PHONE
    assert tcp[:16] == bytes.fromhex("0001 f27e 00000000 00000000 60 02 4000")
    assert tcp[18:] == bytes.fromhex("0000 01030308")


def test_syn_and_ack_with_a_window_beyond_16_bits_says_the_most() -> None:
    packet = tcp_packet(PHONE, HOST, Segment(7, 1, 5, 1, Flags.SYN | Flags.ACK, 131072))
    assert window_field(packet) == 0xFFFF


def test_segment_with_data_has_a_scaled_window_and_no_option() -> None:
    header, tcp = split(tcp_packet(HOST, PHONE, Segment(1, 7, 1, 2, Flags.ACK, 131072, b"hello")))
    assert int.from_bytes(header[4:6]) == 25
    assert tcp[12] == 5 << 4
    assert tcp[14:16] == bytes.fromhex("0200")
    assert tcp[20:] == b"hello"


def test_reset_with_a_text_has_no_data() -> None:
    header, tcp = split(tcp_packet(HOST, PHONE, Segment(1, 7, 1, 2, Flags.RST, 0, b"amnesia")))
    assert int.from_bytes(header[4:6]) == len(tcp) == 20


@pytest.mark.parametrize("flags", [Flags.ACK, Flags.SYN | Flags.ACK])
def test_longest_segment_of_a_packet_fits_the_length_field(flags: Flags) -> None:
    header, tcp = split(tcp_packet(PHONE, HOST, Segment(7, 1, 5, 1, flags, 0, bytes(LONGEST))))
    assert int.from_bytes(header[4:6]) == len(tcp) <= 0xFFFF


@given(
    st.builds(
        Segment,
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 0xFF),
        st.integers(0, 0xFFFF00),
        st.binary(max_size=99),
    )
)
def test_any_segment_sums_up_with_its_checksum(segment: Segment) -> None:
    header, tcp = split(tcp_packet(HOST, PHONE, segment))
    assert plain_sum(header[8:] + struct.pack(">II", len(tcp), 6) + tcp) == 0xFFFF


@given(st.binary(min_size=1, max_size=64).filter(any))
def test_checksum_of_any_data_is_that_of_rfc_1071(data: bytes) -> None:
    assert internet_checksum(data) == 0xFFFF - plain_sum(data)


def test_event_says_that_nothing_follows_and_carries_its_data() -> None:
    header, data = split(event_packet(PHONE, HOST, b"\x07"))
    assert header == bytes.fromhex("60000000 0001 3b 40") + PHONE + HOST
    assert data == b"\x07"
