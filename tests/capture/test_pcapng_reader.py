from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.capture import pcapng
from usbmux.capture.pcapng_reader import PcapngReader
from usbmux.errors import RemoteProtocolError

BLOCKS = [
    pcapng.section_header("test"),
    pcapng.interface_description("a", "b", 480_000_000),
    pcapng.enhanced_packet(0, 1, b"one", 1, "a comment"),
    pcapng.enhanced_packet(0, 2, b"two", 2, dropped=3),
    pcapng.interface_statistics(0, 3, received=9, dropped=7),
    pcapng.interface_statistics(1, 3, received=2, dropped=1),
]
STREAM = b"".join(BLOCKS)


@given(cuts=st.lists(st.integers(0, len(STREAM))))
def test_stream_split_anywhere_whole_blocks_come_out_and_are_counted(cuts: list[int]) -> None:
    reader = PcapngReader()
    ends = {len(b"".join(BLOCKS[:count])) for count in range(len(BLOCKS) + 1)}
    received = b""
    start = 0
    for end in [*sorted(cuts), len(STREAM)]:
        received += reader.receive_data(STREAM[start:end])
        assert len(received) in ends
        start = end
    assert received == STREAM
    assert (reader.packets, reader.dropped) == (2, 8)


def test_stream_ends_amid_a_block_the_block_is_left_out() -> None:
    reader = PcapngReader()
    assert reader.receive_data(STREAM[:-1]) == b"".join(BLOCKS[:-1])
    assert reader.dropped == 7


@pytest.mark.parametrize("length", [0, 8, 13, (1 << 20) + 4])
def test_length_is_impossible_error(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"impossible length {length}$"):
        PcapngReader().receive_data(BLOCKS[0] + b"\6\0\0\0" + length.to_bytes(4, "little"))


@pytest.mark.parametrize("body", [b"", bytes(12), bytes(12) + b"\5\0\xff\xff", bytes(12) + b"\1\0\xff\xff"])
def test_statistics_are_cut_short_nothing_is_counted(body: bytes) -> None:
    reader = PcapngReader()
    length = (12 + len(body)).to_bytes(4, "little")
    reader.receive_data(b"\5\0\0\0" + length + body + length)
    assert reader.dropped == 0
