from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usbmux.errors import RemoteProtocolError
from usbmux.mux.packet import Packet, PacketReader, encode_v1, encode_v2

U16 = st.integers(0, 0xFFFF)
PAYLOADS = st.binary(max_size=60)


@st.composite
def packets_v2(draw: st.DrawFn) -> tuple[bytes, Packet]:
    """A packet of version 2 framing, in which VERSION has the short header nevertheless."""
    protocol, payload = draw(st.sampled_from([0, 1, 2, 6, 99])), draw(PAYLOADS)
    if protocol == 0:
        return encode_v1(protocol, payload), Packet(protocol, payload)
    tx_seq, rx_seq = draw(U16), draw(U16)
    return encode_v2(protocol, payload, tx_seq, rx_seq), Packet(protocol, payload, tx_seq, rx_seq)


@st.composite
def packets_v1(draw: st.DrawFn) -> tuple[bytes, Packet]:
    protocol, payload = draw(st.sampled_from([0, 1, 2, 6, 99])), draw(PAYLOADS)
    return encode_v1(protocol, payload), Packet(protocol, payload)


def transfers(stream: bytes, cuts: list[int]) -> list[bytes]:
    """The stream cut anywhere; the same cut twice makes an empty transfer (M3)."""
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def read(version: int, parts: list[bytes]) -> list[Packet]:
    """What a reader makes of these transfers, whose buffers are kept."""
    reader = PacketReader(version)
    return [packet for part in parts for packet in reader.receive_data(part)]


@settings(derandomize=True)
@given(
    st.one_of(
        st.tuples(st.just(1), st.lists(packets_v1(), max_size=6)),
        st.tuples(st.just(2), st.lists(packets_v2(), max_size=6)),
    ),
    st.lists(st.integers(0, 1000), max_size=12),
)
def test_reader_any_split_yields_the_same_packets(
    case: tuple[int, list[tuple[bytes, Packet]]], cuts: list[int]
) -> None:
    version, encoded = case
    stream = b"".join(data for data, _packet in encoded)
    expected = [packet for _data, packet in encoded]
    assert read(version, transfers(stream, cuts)) == expected
    assert read(version, [stream[at : at + 1] for at in range(len(stream))]) == expected


def test_reader_version_changed_between_two_packets_of_one_transfer() -> None:
    reader = PacketReader(1)
    packets = reader.receive_data(encode_v1(0, b"version") + encode_v2(6, b"second", 3, 4))
    assert next(packets) == Packet(0, b"version")
    reader.version = 2
    assert list(packets) == [Packet(6, b"second", 3, 4)]


def test_reader_payloads_outlive_later_transfers() -> None:
    reader = PacketReader(2)
    first, second = encode_v2(6, b"first", 0, 0), encode_v2(6, b"second", 1, 0)
    assert list(reader.receive_data(first[:9])) == []
    kept = list(reader.receive_data(first[9:] + second[:20]))
    kept += reader.receive_data(second[20:])
    list(reader.receive_data(bytes(7)))
    assert [bytes(packet.payload) for packet in kept] == [b"first", b"second"]


def test_reader_unfinished_packet_is_pending() -> None:
    reader = PacketReader(2)
    data = encode_v2(6, b"payload", 0, 0)
    for count in range(1, len(data)):
        assert list(reader.receive_data(data[count - 1 : count])) == []
        assert len(reader.pending) == count
    assert len(list(reader.receive_data(data[-1:]))) == 1
    assert not reader.pending


def test_reader_transfers_of_a_reused_buffer_are_not_mixed_up() -> None:
    reader = PacketReader(2)
    data = encode_v2(6, b"payload", 0, 0)
    buffer = bytearray(data[:20])
    assert list(reader.receive_data(memoryview(buffer))) == []
    buffer[:] = bytes(20)
    assert [bytes(packet.payload) for packet in reader.receive_data(data[20:])] == [b"payload"]


def test_reader_rest_of_a_packet_lost_nothing_of_the_next_one_is_taken_for_it() -> None:
    reader = PacketReader(2)
    whole = encode_v2(6, b"a" * 1000, 1, 1)
    assert list(reader.receive_data(whole[:500])) == []
    with pytest.raises(RemoteProtocolError, match="impossible length") as lost:
        list(reader.receive_data(encode_v2(6, b"b" * 1000, 2, 1)))
    assert lost.value.data.strip(b"b") == b""


def test_reader_header_in_two_transfers_is_impossible_nothing_of_them_is_lost() -> None:
    reader = PacketReader(2)
    answer = encode_v1(0, bytes(12))
    assert list(reader.receive_data(b"\0\0\0\6\0\0")) == []
    with pytest.raises(RemoteProtocolError, match="impossible length 15") as lost:
        list(reader.receive_data(b"\0\x0f" + answer))
    assert lost.value.data == b"\0\0\0\6\0\0\0\x0f" + answer


@pytest.mark.parametrize("begun", [b"bbbb\1", b"bbbb\0\2", b"bbbb\0\1\1", b"b" * 5, b"b" * 7], ids=bytes.hex)
def test_reader_rest_of_a_packet_lost_the_few_bytes_behind_it_are_judged_too(begun: bytes) -> None:
    reader = PacketReader(2)
    whole = encode_v2(6, b"a" * 1000, 1, 1)
    assert list(reader.receive_data(whole[:500])) == []
    with pytest.raises(RemoteProtocolError, match="impossible length") as lost:
        list(reader.receive_data(whole[500:] + begun))
    assert lost.value.data == begun


@pytest.mark.parametrize(
    "begun", [b"b" * 4, b"bbbb\0", b"bbbb\0\1", b"bbbb\0\1\0", b"bbbb\0\0\0", b"bbbb\0\0\xff"], ids=bytes.hex
)
def test_reader_few_bytes_behind_a_continued_packet_can_be_a_header_it_does_not_wait(begun: bytes) -> None:
    reader = PacketReader(2)
    whole = encode_v2(6, b"a" * 1000, 1, 1)
    assert list(reader.receive_data(whole[:500])) == []
    assert len(list(reader.receive_data(whole[500:] + begun))) == 1
    assert reader.pending == begun


def test_reader_header_behind_a_continued_packet_may_be_incomplete() -> None:
    reader = PacketReader(2)
    stream = encode_v2(6, b"first", 1, 1) + encode_v2(6, b"second", 2, 1)
    end = len(stream) - 6 - 16 + 7  # one byte short of telling a length
    assert list(reader.receive_data(stream[:10])) == []
    assert [packet.payload for packet in reader.receive_data(stream[10:end])] == [b"first"]
    assert [packet.payload for packet in reader.receive_data(stream[end:])] == [b"second"]
