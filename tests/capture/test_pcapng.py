"""The blocks, byte by byte: one mistake in a length makes a file unreadable."""

from __future__ import annotations

import struct

import pytest

from usbmux.capture import pcapng

END = "00000000"


def test_section_header_has_magic_unknown_length_and_the_writer() -> None:
    assert pcapng.section_header("usbmuxd").hex() == (
        "0a0d0d0a" "2c000000" "4d3c2b1a" "0100" "0000" "ffffffffffffffff"
        "0400" "0700" "7573626d757864" "00" + END + "2c000000"
    )  # fmt: skip


def test_interface_description_has_ipv6_names_speed_and_nanoseconds() -> None:
    assert pcapng.interface_description("ab", "cde", 480_000_000).hex() == (
        "01000000" "3c000000" "e500" "0000" "00000000"
        "0200" "0200" "6162" "0000"
        "0300" "0300" "636465" "00"
        "0800" "0800" "00389c1c00000000"
        "0900" "0100" "09" "000000" + END + "3c000000"
    )  # fmt: skip


def test_name_resolution_pads_each_record() -> None:
    assert pcapng.name_resolution([(bytes(15) + b"\x01", "host")]).hex() == (
        "04000000" "2c000000" "0200" "1500" + "00" * 15 + "01" "686f737400" "000000" + END + "2c000000"
    )  # fmt: skip


def test_enhanced_packet_without_comment_has_flags_alone() -> None:
    assert pcapng.enhanced_packet(3, 0x0102030405060708, b"abcde", pcapng.FLAG_INBOUND).hex() == (
        "06000000" "34000000" "03000000" "04030201" "08070605" "05000000" "05000000" "6162636465" "000000"
        "0200" "0400" "01000000" + END + "34000000"
    )  # fmt: skip


def test_enhanced_packet_with_comment_has_it_in_utf8() -> None:
    block = pcapng.enhanced_packet(0, 0, b"", pcapng.FLAG_OUTBOUND, "é!")
    assert block.hex() == (
        "06000000" "34000000" "00000000" "00000000" "00000000" "00000000" "00000000"
        "0200" "0400" "02000000" "0100" "0300" "c3a921" "00" + END + "34000000"
    )  # fmt: skip


@pytest.mark.parametrize("length", range(9))
def test_block_of_any_data_is_a_multiple_of_4_and_says_its_length_twice(length: int) -> None:
    block = pcapng.enhanced_packet(0, 0, bytes(length), 0, "x" * length)
    assert len(block) % 4 == 0
    assert struct.unpack_from("<I", block, 4) == struct.unpack_from("<I", block, len(block) - 4) == (len(block),)


def test_enhanced_packet_behind_dropped_ones_says_how_many() -> None:
    assert pcapng.enhanced_packet(0, 0, b"abcd", pcapng.FLAG_OUTBOUND, dropped=258).hex() == (
        "06000000" "3c000000" "00000000" "00000000" "00000000" "04000000" "04000000" "61626364"
        "0200" "0400" "02000000" "0400" "0800" "0201000000000000" + END + "3c000000"
    )  # fmt: skip


def test_interface_statistics_has_both_counts() -> None:
    assert pcapng.interface_statistics(3, 0x0102030405060708, received=258, dropped=2).hex() == (
        "05000000" "34000000" "03000000" "04030201" "08070605"
        "0400" "0800" "0201000000000000" "0500" "0800" "0200000000000000" + END + "34000000"
    )  # fmt: skip
