"""Whatever a phone sends: nothing but events comes of it; of packets the same ones, however transfers cut them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mux.outcome import Outcome
from tests.mux.wire import FIRST, SYN_ACK, TCP, Wire
from usbmux.mux.packet import encode_v2
from usbmux.mux.segment import Flags, Segment

if TYPE_CHECKING:
    from collections.abc import Iterable

SEQUENCE = st.one_of(st.sampled_from([0, 1, FIRST, FIRST + 1, FIRST + 2, 2**32 - 1]), st.integers(0, 2**32 - 1))
FLAGS = st.one_of(st.just(0x10), st.sampled_from([Flags.RST, SYN_ACK]), st.integers(0, 255))
SEGMENTS = st.builds(
    Segment,
    source_port=st.sampled_from([22, 80]),
    destination_port=st.integers(0, 4),
    seq=SEQUENCE,
    ack=SEQUENCE,
    flags=FLAGS,
    window=st.sampled_from([0, 256, 65536]),
    payload=st.binary(max_size=2),
)
LIKELY = st.builds(
    Segment,
    source_port=st.just(22),
    destination_port=st.sampled_from([1, 2]),
    seq=st.sampled_from([FIRST, FIRST + 1, FIRST + 2]),
    ack=st.sampled_from([1, 5, 6]),
    flags=st.just(int(Flags.ACK)),
    window=st.sampled_from([0, 256, 65536]),
    payload=st.binary(max_size=1),
)
PACKETS = st.one_of(
    st.one_of(LIKELY, SEGMENTS).map(lambda segment: encode_v2(TCP, segment.encode(), 7, 0)),
    st.builds(encode_v2, st.integers(1, 7), st.binary(max_size=30), st.integers(0, 65535), st.integers(0, 65535)),
)
ANYTHING = st.one_of(PACKETS, st.binary(max_size=30))


def outcome(transfers: Iterable[bytes]) -> Outcome:
    """What these transfers bring out of a session with three connections in three states."""
    wire = Wire()
    wire.shake_hands()
    wire.send(wire.establish(22), b"abcde")
    wire.expect(destination=22, payload=b"abcde")
    wire.shutdown_write(wire.establish(22))
    wire.connect(22)
    outcome = Outcome(wire)
    for transfer in transfers:
        wire.inject_data(transfer)
        outcome.note_events()
    outcome.note_packets()
    wire.advance(100)
    return outcome


def pieces_of(stream: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(stream[at : at + size])
        at += size
    return [*pieces, stream[at:]]


@settings(derandomize=True, max_examples=100)
@given(st.lists(ANYTHING, max_size=8), st.lists(st.integers(1, 50), max_size=8))
def test_ready_anything_comes_nothing_but_events_comes_of_it(packets: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(packets)
    for transfers in ([stream], pieces_of(stream, sizes), [stream[index : index + 1] for index in range(len(stream))]):
        outcome(transfers)


@settings(derandomize=True, max_examples=100)
@given(st.lists(PACKETS, max_size=8), st.lists(st.integers(1, 50), max_size=8))
def test_ready_packets_come_to_the_same_however_they_are_cut(packets: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(packets)
    pieces = pieces_of(stream, sizes)
    whole = outcome([stream])
    assert outcome(pieces) == whole
    assert outcome(stream[index : index + 1] for index in range(len(stream))) == whole
