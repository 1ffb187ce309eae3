"""Runs of ordinary segments are an abbreviation: a session that takes none comes to the same."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mux.outcome import Outcome
from tests.mux.turn import ODD, ORDINARY, Turn, packets_of
from tests.mux.wire import FIRST, Wire
from usbmux.mux.ingress import Ingress
from usbmux.mux.segment_run import SegmentRun

SENT = b"0123456789"
MOST_TRANSFERS = 100
"""Of what comes in a turn: all but the longest data, which is too much for the window anyhow."""


TURNS = st.lists(st.one_of(ORDINARY, ORDINARY, ORDINARY, ODD), max_size=12)


def outcome(turns: list[Turn], transfer_length: int, *, together: bool) -> Outcome:
    """What a session makes of them, in transfers of a length that end together or one by one."""
    wire = Wire()
    wire.shake_hands()
    connections = [wire.establish(22), wire.establish(23)]
    for connection in connections:
        wire.send(connection, SENT)
        wire.expect(source=connection.local_port, destination=connection.remote_port, payload=SENT)
    outcome = Outcome(wire)
    stream = b""
    for turn, packet in packets_of(turns, connections, wire.phone_tx_seq):
        stream += packet
        transfers, stream = cut(stream, transfer_length)
        if together:
            wire.session.receive_pieces(transfers, wire.now)
        else:
            for transfer in transfers:
                wire.inject_data(transfer)
        client_goes_on(wire, turn)
        outcome.note_events()
        outcome.note_packets()
    if stream:
        wire.inject_data(stream)
    outcome.note_events()
    outcome.note_packets()
    wire.advance(100)
    outcome.note_events()
    outcome.note_packets()
    return outcome


def cut(stream: bytes, length: int) -> tuple[list[bytes], bytes]:
    """Whole transfers, and the rest; the transfers are longer where there would be too many."""
    length = max(length, len(stream) // MOST_TRANSFERS)
    end = len(stream) - len(stream) % length
    return [stream[begin : begin + length] for begin in range(0, end, length)], stream[end:]


def client_goes_on(wire: Wire, turn: Turn) -> None:
    for connection in list(wire.session._connections.values()):
        if connection.remote_port == 22 + turn.connection:
            wire.acknowledge(connection, min(turn.client_takes, (connection.rcv_nxt - connection.rcv_taken) % 2**32))
            if turn.client_ends:
                wire.shutdown_write(connection)


@settings(derandomize=True, max_examples=250, deadline=None)
@given(TURNS, st.sampled_from([20, 39, 100, 1000]), st.booleans())
def test_runs_or_none_come_to_the_same(turns: list[Turn], transfer_length: int, together: bool) -> None:
    with_runs = outcome(turns, transfer_length, together=together)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentRun, "take", lambda _self, _pieces, index, offset, _now: (index, offset))
        without = outcome(turns, transfer_length, together=False)

    assert with_runs == without


def test_ordinary_segments_are_taken_in_runs() -> None:
    """Or the test above would compare nothing."""
    wire = Wire()
    wire.shake_hands()
    connection = wire.establish()
    wire.inject(payload=b"1")
    packets = [wire.segment(seq=FIRST + 1 + index, payload=b"%d" % index) for index in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ingress, "packets", None)
        wire.inject_data(b"".join(packets))
    wire.expect_data(connection, b"1012")
    assert struct.unpack_from(">H", packets[-1], 12)[0] == wire.session._link_count.last
