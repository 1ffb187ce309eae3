from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usbmux.mux.send_buffer import SendBuffer


@pytest.fixture
def buffer() -> SendBuffer:
    buffer = SendBuffer()
    buffer.append(b"abcd")
    buffer.append(b"ef")
    buffer.append(b"ghi")
    return buffer


def taken_bytes(buffer: SendBuffer, count: int) -> bytes:
    return bytes(buffer.take(count))


def drained(buffer: SendBuffer) -> bytes:
    return taken_bytes(buffer, buffer.length)


@pytest.mark.parametrize("count", range(1, 10))
def test_buffer_take_splits_and_joins_chunks(buffer: SendBuffer, count: int) -> None:
    assert buffer.take(count) == b"abcdefghi"[:count]
    assert buffer.length == 9 - count
    if count < 9:
        assert drained(buffer) == b"abcdefghi"[count:]


def test_buffer_take_of_a_whole_chunk_does_not_copy_it() -> None:
    buffer, chunk = SendBuffer(), b"chunk"
    buffer.append(chunk)
    assert buffer.take(5) is chunk


def test_buffer_take_of_part_of_a_chunk_does_not_copy_it() -> None:
    buffer, chunk = SendBuffer(), b"chunk"
    buffer.append(chunk)
    for expected in (b"ch", b"un"):
        taken = buffer.take(2)
        assert isinstance(taken, memoryview)
        assert taken.obj is chunk
        assert bytes(taken) == expected


def test_buffer_cleared_is_empty_and_usable(buffer: SendBuffer) -> None:
    buffer.clear()
    assert buffer.length == 0
    buffer.append(b"new")
    assert drained(buffer) == b"new"


def test_buffer_empty_chunks_are_harmless() -> None:
    buffer = SendBuffer()
    for chunk in (b"", b"ab", b"", b"", b"cd", b""):
        buffer.append(chunk)
    assert buffer.take(3) == b"abc"
    assert buffer.take(1) == b"d"
    assert buffer.length == 0


@settings(derandomize=True)
@given(st.lists(st.binary(max_size=9)), st.lists(st.integers(1, 12)))
def test_buffer_any_chunks_come_out_in_order_by_any_counts(chunks: list[bytes], counts: list[int]) -> None:
    buffer, out = SendBuffer(), b""
    for chunk in chunks:
        buffer.append(chunk)
    for count in counts:
        if count <= buffer.length:
            out += taken_bytes(buffer, count)
    if buffer.length:
        out += drained(buffer)
    assert out == b"".join(chunks)


def test_chunk_is_taken_as_it_is_if_whole() -> None:
    chunk = bytes(5000)
    whole = SendBuffer()
    whole.append(chunk)
    assert whole.take(5000) is chunk
