from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usbmux.errors import RemoteProtocolError
from usbmux.mux.segment import MAX_WINDOW, Flags, Segment, seq_add, seq_diff, seq_le

TOP = 2**32 - 1
HALF = 2**31
U16, U32 = st.integers(0, 0xFFFF), st.integers(0, TOP)

GOLDEN = [
    (
        Segment(1, 62078, 0, 0, Flags.SYN, 131072),
        "0001 f27e 00000000 00000000 50 02 0200 0000 0000",
    ),
    (
        Segment(62078, 1, 0, 1, Flags.SYN | Flags.ACK, 131072),
        "f27e 0001 00000000 00000001 50 12 0200 0000 0000",
    ),
    (
        Segment(1, 62078, 1, 0xFFFFFFFF, Flags.ACK, 256, b"\x00\x00\x01\x17"),
        "0001 f27e 00000001 ffffffff 50 10 0001 0000 0000 00000117",
    ),
    (
        Segment(65535, 22, 0x01020304, 0x05060708, Flags.RST, MAX_WINDOW, b"no\n"),
        "ffff 0016 01020304 05060708 50 04 ffff 0000 0000 6e6f0a",
    ),
]


@pytest.mark.parametrize(("segment", "text"), GOLDEN)
def test_segment_golden_bytes_both_ways(segment: Segment, text: str) -> None:
    data = bytes.fromhex(text)
    assert segment.encode() == data
    assert Segment.decode(data) == segment
    assert Segment.decode(memoryview(bytearray(data))) == segment


@settings(derandomize=True)
@given(U16, U16, U32, U32, st.integers(0, 0xFF), U16, st.binary(max_size=40))
def test_segment_round_trip(
    source: int, destination: int, seq: int, ack: int, flags: int, window: int, payload: bytes
) -> None:
    segment = Segment(source, destination, seq, ack, flags, window << 8, payload)
    data = segment.encode()
    assert len(data) == 20 + len(payload)
    assert Segment.decode(data) == segment


@pytest.mark.parametrize(
    ("window", "sent"), [(0, 0), (255, 0), (256, 256), (511, 256), (MAX_WINDOW + 255, MAX_WINDOW), (2**30, MAX_WINDOW)]
)
def test_segment_window_is_rounded_down_and_bounded(window: int, sent: int) -> None:
    assert Segment.decode(Segment(1, 2, 3, 4, Flags.ACK, window).encode()).window == sent


@pytest.mark.parametrize("length", [0, 1, 19])
def test_segment_shorter_than_its_header_is_refused(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"cut short at {length} bytes") as caught:
        Segment.decode(b"\x50" * length)
    assert caught.value.data == b"\x50" * length


@pytest.mark.parametrize("offset", [0, 4, 6, 15])
def test_segment_with_options_is_refused(offset: int) -> None:
    data = bytearray(Segment(1, 2, 3, 4, Flags.ACK, 0, b"payload").encode())
    data[12] = offset << 4
    with pytest.raises(RemoteProtocolError, match=f"data offset {offset}$") as caught:
        Segment.decode(bytes(data))
    assert caught.value.data == data[:20]


def test_segment_checksum_urgent_pointer_and_reserved_bits_are_not_looked_at() -> None:
    data = bytearray(Segment(1, 2, 3, 4, Flags.ACK, 512).encode())
    data[12] |= 0x0F
    data[16:20] = b"\xff" * 4
    assert Segment.decode(bytes(data)) == Segment(1, 2, 3, 4, Flags.ACK, 512)


def test_segment_payload_is_a_view_of_the_data() -> None:
    data = bytearray(Segment(1, 2, 3, 4, Flags.ACK, 0, b"old").encode())
    segment = Segment.decode(memoryview(data))
    data[20:23] = b"new"
    assert segment.payload == b"new"


@pytest.mark.parametrize(
    ("segment", "text"),
    [
        (Segment(1, 2, 0, 0, Flags.SYN, 131072), "1 > 2: [S] seq 0 ack 0 win 131072 length 0"),
        (Segment(2, 1, 9, 1, Flags.SYN | Flags.ACK, 256), "2 > 1: [S.] seq 9 ack 1 win 256 length 0"),
        (Segment(1, 2, 5, 10, Flags.ACK, 0, b"abc"), "1 > 2: [.] seq 5:8 ack 10 win 0 length 3"),
        (Segment(1, 2, TOP, 10, Flags.ACK, 0, b"abc"), "1 > 2: [.] seq 4294967295:2 ack 10 win 0 length 3"),
        (Segment(1, 2, 5, 10, 0, 0, b"abc"), "1 > 2: [none] seq 5:8 ack 10 win 0 length 3"),
        (Segment(1, 2, 5, 10, 0xC0, 0), "1 > 2: [none] seq 5 ack 10 win 0 length 0"),
        (Segment(1, 2, 5, 10, 0x3F, 0), "1 > 2: [SFRPU.] seq 5 ack 10 win 0 length 0"),
        (Segment(1, 2, 5, 10, Flags.RST, 0), "1 > 2: [R] seq 5 ack 10 win 0 length 0"),
        (Segment(1, 2, 5, 10, Flags.RST, 0, b"no\n"), r"1 > 2: [R] seq 5:8 ack 10 win 0 length 3 b'no\n'"),
    ],
)
def test_segment_printed_reads_like_a_trace(segment: Segment, text: str) -> None:
    assert str(segment) == text


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [
        (0, 0, 0),
        (1, 0, 1),
        (0, 1, -1),
        (0, TOP, 1),
        (TOP, 0, -1),
        (5, TOP - 4, 10),
        (HALF - 1, 0, HALF - 1),
        (HALF, 0, -HALF),
        (0, HALF, -HALF),
        (HALF + 1, 0, 1 - HALF),
        (HALF + 10, 11, HALF - 1),
    ],
)
def test_sequence_distance_across_the_wrap(left: int, right: int, distance: int) -> None:
    assert seq_diff(left, right) == distance
    assert seq_le(left, right) is (distance <= 0)


@settings(derandomize=True)
@given(U32, st.integers(-HALF, HALF - 1))
def test_sequence_add_and_distance_are_inverse(seq: int, distance: int) -> None:
    moved = seq_add(seq, distance)
    assert 0 <= moved <= TOP
    assert seq_diff(moved, seq) == distance


def test_sequence_le_holds_in_a_circle_around_the_wrap() -> None:
    assert seq_le(TOP, 3)
    assert not seq_le(3, TOP)
    assert seq_le(3, 3)
