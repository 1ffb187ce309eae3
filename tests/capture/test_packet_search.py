"""Where packets begin in the middle of a stream; the stream is what the property tests know and the search does not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.capture.packet_search import PacketSearch
from usbmux.mux.packet import MAX_PACKET_LENGTH, ControlKind, MuxProtocol, Version, encode_v1, encode_v2
from usbmux.mux.segment import Flags, Segment

OFFER = encode_v1(MuxProtocol.VERSION, Version(2, 0).encode())
MOST_TRANSFERS = 1000
"""Longer streams come in longer ones, or an example would take seconds."""
framings = pytest.mark.parametrize("framing", [1, 2])


def encode(framing: int, protocol: int, payload: bytes, magic: int = 0xFEEDFACE) -> bytes:
    return encode_v1(protocol, payload) if framing == 1 else encode_v2(protocol, payload, 5, 6, magic)


def data(framing: int, payload: bytes, magic: int = 0xFEEDFACE) -> bytes:
    return encode(framing, MuxProtocol.TCP, Segment(7, 1, 5, 1, Flags.ACK, 131072, payload).encode(), magic)


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, list[bytes], list[int]]:
    """Framing, packets, and the lengths of the transfers that they come in."""
    framing = draw(st.sampled_from([1, 2]))
    lengths = draw(st.lists(st.sampled_from([0, 1, 40, 700, 16_000, 40_000]), min_size=1, max_size=5))
    magic = draw(st.sampled_from([0xFEEDFACE, 0xFACEFACE]))
    packets = [data(framing, random.Random(seed).randbytes(length), magic) for seed, length in enumerate(lengths)]
    for index in draw(st.lists(st.integers(0, len(packets)), max_size=2)):
        packets.insert(index, encode(framing, MuxProtocol.CONTROL, bytes([ControlKind.INFO]) + b"text", magic))
    return framing, packets, draw(st.lists(st.integers(1, 20_000), min_size=1, max_size=5))


@given(stream=streams(), share=st.floats(0, 1), is_told=st.booleans())
def test_joined_anywhere_the_next_packet_is_found(
    stream: tuple[int, list[bytes], list[int]], share: float, is_told: bool
) -> None:
    framing, packets, transfers = stream
    whole = b"".join(packets)
    joined = int(share * len(whole))
    beginnings = [len(b"".join(packets[:index])) for index in range(len(packets))]
    search, end, turn = PacketSearch(), joined, 0
    found = None
    while found is None and end < len(whole):
        length = max(transfers[turn % len(transfers)], len(whole) // MOST_TRANSFERS)
        start, end = end, min(end + length, len(whole))
        turn += 1
        found = search.receive_data(whole[start:end], framing if is_told else None)
    expected = next((beginning for beginning in beginnings if beginning >= joined), None)
    assert found == (None if expected is None else (framing, whole[expected:end]))


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_rubbish_comes_nothing_is_found_and_nothing_is_kept_but_what_may_be_a_beginning(pieces: list[bytes]) -> None:
    search = PacketSearch()
    for piece in pieces:
        assert search.receive_data(b"\xff" + piece.replace(b"\0", b"\1"), None) is None
    assert search.receive_data(data(2, b"word"), None) == (2, data(2, b"word"))


@framings
def test_header_amid_data_whose_packet_ends_nowhere_is_not_believed(framing: int) -> None:
    search = PacketSearch()
    decoy = data(framing, bytes(100))[:60]
    inner = data(framing, b"x" * 50 + decoy + b"y" * 900)
    after = data(framing, b"after")
    assert search.receive_data(inner[60:] + after, framing) == (framing, after)


@framings
def test_only_the_beginning_of_a_header_is_there_more_is_awaited(framing: int) -> None:
    packet = data(framing, b"word")
    for length in range(1, len(packet)):
        search = PacketSearch()
        assert search.receive_data(b"rest" + packet[:length], framing) is None
        assert search.receive_data(packet[length:], framing) == (framing, packet)


def test_joined_while_hands_are_shaken_the_answer_is_found() -> None:
    assert PacketSearch().receive_data(OFFER, None) == (1, OFFER)


def test_magic_is_none_that_was_seen_the_version_must_be_told() -> None:
    packet = data(2, b"word", magic=0x12345678)
    assert PacketSearch().receive_data(packet, None) is None
    assert PacketSearch().receive_data(packet, 2) == (2, packet)


@pytest.mark.parametrize(
    "head",
    [
        encode_v2(MuxProtocol.SETUP, b"\x07", 0, 0),
        encode_v2(MuxProtocol.CONTROL, b"\x09what", 0, 0),
        encode_v2(MuxProtocol.CONTROL, b"", 0, 0),
        encode_v2(MuxProtocol.TCP, bytes(20), 0, 0),
        encode_v2(MuxProtocol.TCP, b"short", 0, 0),
        data(2, bytes(MAX_PACKET_LENGTH)),
    ],
    ids=["setup", "unknown kind", "empty control", "no data offset", "no header", "too long"],
)
def test_packet_that_no_phone_sends_is_passed_over(head: bytes) -> None:
    following = data(2, b"word")
    search = PacketSearch()
    assert search.receive_data(head + following, 2) == (2, following)


def test_stream_never_fits_what_is_kept_is_bounded() -> None:
    search = PacketSearch()
    decoy = data(2, bytes(60_000))[:48]
    kept = 0
    for _ in range(200):
        search.receive_data(decoy + b"\xff" * 4000, 2)
        kept = max(kept, len(search._buffer))
    assert kept < MAX_PACKET_LENGTH + 2 * 4096
