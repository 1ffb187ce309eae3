"""Property lists with their length before them."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.errors import LocalProtocolError, RemoteProtocolError
from usbmux.lockdown.plist_frame import PlistReader, encode


def read_all(data: bytes, sizes: list[int]) -> tuple[list[Mapping[object, object]], int]:
    """The messages, and how many bytes of the next one are there."""
    reader, messages = PlistReader(), []
    while data:
        size = min(reader.bytes_needed, sizes.pop() if sizes else len(data))
        piece, data = data[:size], data[size:]
        if (message := reader.receive_data(piece)) is not None:
            messages.append(message)
    return messages, 0 if reader.is_idle else 1


@given(st.lists(st.integers(1, 9)), st.booleans())
def test_reader_given_any_split_yields_the_same_messages(sizes: list[int], binary: bool) -> None:
    sent: list[dict[str, object]] = [{"Request": "QueryType"}, {}, {"Key": "Größe", "Value": b"\0\xff"}]
    data = b"".join(encode(message, binary=binary) for message in sent)
    assert read_all(data, sizes) == (sent, 0)


@pytest.mark.parametrize("length", [0, 65, 0xFFFFFFFF])
def test_reader_given_a_length_beyond_its_limits_raises(length: int) -> None:
    reader = PlistReader(max_length=64)
    with pytest.raises(RemoteProtocolError, match=f"{length} bytes"):
        reader.receive_data(length.to_bytes(4))


def test_reader_given_the_longest_length_waits_for_it() -> None:
    reader = PlistReader(max_length=64)
    assert reader.receive_data((64).to_bytes(4)) is None
    assert reader.bytes_needed == 64
    assert not reader.is_idle


@given(st.binary(min_size=1, max_size=200))
def test_reader_given_any_payload_raises_nothing_else(payload: bytes) -> None:
    reader = PlistReader()
    reader.receive_data(len(payload).to_bytes(4))
    with pytest.raises(RemoteProtocolError):
        reader.receive_data(payload)


def test_encode_value_of_no_property_list_raises() -> None:
    with pytest.raises(LocalProtocolError):
        encode({"Value": object()})
