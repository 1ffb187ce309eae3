"""Rules C4 to C8."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.control.frame import MAX_FRAME_LENGTH, MAX_REPLY_LENGTH, Frame, FrameReader, MessageType
from usbmux.errors import RemoteProtocolError

LISTEN = bytes.fromhex("10000000 00000000 03000000 07000000")
WITH_PAYLOAD = bytes.fromhex("13000000 01000000 08000000 ffffffff") + b"abc"


def header(length: int) -> bytes:
    return length.to_bytes(4, "little") + bytes(12)


@pytest.mark.parametrize(
    ("frame", "data"),
    [
        (Frame(0, MessageType.LISTEN, 7, b""), LISTEN),
        (Frame(1, MessageType.PLIST, 0xFFFFFFFF, b"abc"), WITH_PAYLOAD),
        (Frame(0x01020304, 0x05060708, 0x090A0B0C, b""), bytes.fromhex("10000000 04030201 08070605 0c0b0a09")),
    ],
)
def test_frame_encoded_and_read_back_golden_bytes(frame: Frame, data: bytes) -> None:
    reader = FrameReader(MAX_FRAME_LENGTH)
    reader.receive_data(data)
    assert frame.encode() == data
    assert reader.next_frame() == frame
    assert reader.next_frame() is None


def test_reader_length_of_limit_accepted() -> None:
    reader = FrameReader(MAX_FRAME_LENGTH)
    reader.receive_data(header(65536) + bytes(65520))
    frame = reader.next_frame()
    assert frame is not None
    assert len(frame.payload) == 65520


@pytest.mark.parametrize("length", [0, 1, 15, 65537, 0xFFFFFFFF])
def test_reader_impossible_length_broken_for_good(length: int) -> None:
    reader = FrameReader(MAX_FRAME_LENGTH)
    reader.receive_data(LISTEN + header(length))
    assert reader.next_frame() is not None
    with pytest.raises(RemoteProtocolError, match=f"impossible length {length}") as caught:
        reader.next_frame()
    assert caught.value.data == header(length)
    reader.receive_data(LISTEN)
    with pytest.raises(RemoteProtocolError):
        reader.next_frame()
    assert reader.bytes_needed == 0
    assert reader.take_rest() == b""


def test_reader_for_client_longer_reply_accepted() -> None:
    reader = FrameReader(MAX_REPLY_LENGTH)
    reader.receive_data(header(65537) + bytes(65521))
    assert reader.next_frame() is not None


def test_reader_byte_by_byte_asks_for_exactly_one_frame() -> None:
    reader = FrameReader(MAX_FRAME_LENGTH)
    needed = []
    for byte in WITH_PAYLOAD:
        needed.append(reader.bytes_needed)
        assert reader.next_frame() is None
        reader.receive_data(bytes([byte]))
    assert needed == [16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 3, 2, 1]
    assert reader.bytes_needed == 0
    assert reader.next_frame() == Frame(1, 8, 0xFFFFFFFF, b"abc")
    assert reader.bytes_needed == 16


def test_reader_impossible_length_not_yet_fetched_asks_for_nothing() -> None:
    reader = FrameReader(MAX_FRAME_LENGTH)
    reader.receive_data(header(3))
    assert reader.bytes_needed == 0


def test_reader_rest_taken_leaves_nothing() -> None:
    reader = FrameReader(MAX_FRAME_LENGTH)
    reader.receive_data(LISTEN + b"the phone's")
    reader.next_frame()
    assert reader.take_rest() == b"the phone's"
    assert reader.take_rest() == b""


def test_reader_view_reused_by_caller_keeps_own_copy() -> None:
    reader = FrameReader(MAX_FRAME_LENGTH)
    buffer = bytearray(WITH_PAYLOAD)
    reader.receive_data(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert reader.next_frame() == Frame(1, 8, 0xFFFFFFFF, b"abc")


frames = st.builds(
    Frame,
    version=st.integers(0, 0xFFFFFFFF),
    message_type=st.integers(0, 0xFFFFFFFF),
    tag=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=40),
)


@given(sent=st.lists(frames, max_size=8), cuts=st.lists(st.integers(0, 450), max_size=20))
def test_reader_any_split_same_frames(sent: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(frame.encode() for frame in sent)
    reader = FrameReader(MAX_FRAME_LENGTH)
    received = []
    for start, end in pairwise([0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]):
        reader.receive_data(stream[start:end])
        while (frame := reader.next_frame()) is not None:
            received.append(frame)
    assert received == sent
    assert reader.take_rest() == b""


@given(st.binary(max_size=200))
def test_reader_random_bytes_only_protocol_errors(data: bytes) -> None:
    reader = FrameReader(64)
    reader.receive_data(data)
    try:
        while (frame := reader.next_frame()) is not None:
            assert len(frame.payload) <= 48
    except RemoteProtocolError:
        assert reader.take_rest() == b""
    else:
        assert 0 < reader.bytes_needed <= 64


def test_reader_many_frames_at_once_time_not_quadratic() -> None:
    def seconds(count: int) -> float:
        reader = FrameReader(MAX_FRAME_LENGTH)
        reader.receive_data(LISTEN * count)
        start = time.process_time()
        while reader.next_frame() is not None:
            pass
        return time.process_time() - start

    # 16 times the frames: 16 times the time, where a copy of the rest for each frame would make it 256 times.
    assert seconds(64_000) < 64 * max(seconds(4_000), 0.005)
