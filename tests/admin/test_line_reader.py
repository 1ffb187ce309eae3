from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.admin.line_reader import LineReader
from usbmux.errors import RemoteProtocolError


@given(lines=st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b""))), data=st.data())
def test_stream_split_anywhere_lines_are_the_same(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines) + b"rest"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    reader = LineReader(20)
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.receive_data(stream[start:end])
        while (line := reader.next_line()) is not None:
            found.append(line)
    assert found == lines
    assert reader.take_rest() == b"rest"
    assert reader.take_rest() == b""


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_line_is_too_long_error_again_and_again(end: bytes) -> None:
    reader = LineReader(5)
    reader.receive_data(b"12345\n12345")
    assert reader.next_line() == b"12345"
    assert reader.next_line() is None
    reader.receive_data(b"6" + end)
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="a line of more than 5 bytes"):
            reader.next_line()
