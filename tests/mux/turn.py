"""What phones send in the comparisons of sessions: mostly ordinary segments, and odd ones among them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.mux.wire import FIRST, PHONE_WINDOW, TCP
from usbmux.mux.packet import encode_v2
from usbmux.mux.segment import Flags, Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from usbmux.mux.connection import TcpConnection


@dataclass(frozen=True)
class Turn:
    """What a phone sends next, relative to what it should send, and what the client does then."""

    connection: int
    payload: bytes
    acknowledged: int = 0
    window: int = PHONE_WINDOW
    flags: int = Flags.ACK
    seq_error: int = 0
    count_error: int = 0
    damage: tuple[int, int] | None = None
    """Offset in the packet and a byte to put there."""
    client_takes: int = 0
    client_ends: bool = False


ORDINARY = st.builds(
    Turn,
    connection=st.integers(0, 1),
    payload=st.binary(max_size=3),
    acknowledged=st.integers(0, 3),
    window=st.sampled_from([0, 256, PHONE_WINDOW]),
    client_takes=st.integers(0, 5),
)
ODD = st.one_of(
    st.builds(replace, ORDINARY, flags=st.sampled_from([Flags.RST, Flags.ACK | Flags.PSH, Flags.SYN | Flags.ACK, 0])),
    st.builds(replace, ORDINARY, seq_error=st.sampled_from([-1, 1, 2**31])),
    st.builds(replace, ORDINARY, acknowledged=st.sampled_from([-1, 11, 2**31])),
    st.builds(replace, ORDINARY, count_error=st.sampled_from([-1, 1])),
    st.builds(replace, ORDINARY, damage=st.tuples(st.integers(0, 38), st.integers(0, 255))),
    st.builds(replace, ORDINARY, client_ends=st.just(True)),
    st.builds(replace, ORDINARY, payload=st.just(bytes(60000))),
)


def packets_of(turns: Iterable[Turn], connections: Sequence[TcpConnection], count: int) -> Iterator[tuple[Turn, bytes]]:
    """Each turn and its packet.

    Args:
        connections: That the turns are about.
        count: Of the last packet that the phone has sent.
    """
    seq, ack = [FIRST] * len(connections), [1] * len(connections)
    for turn in turns:
        which, connection = turn.connection, connections[turn.connection]
        ack[which] = (ack[which] + turn.acknowledged) % 2**32
        count = (count + 1 + turn.count_error) % 2**16
        ports = connection.remote_port, connection.local_port
        first = (seq[which] + turn.seq_error) % 2**32
        segment = Segment(*ports, first, ack[which], turn.flags, turn.window, turn.payload)
        seq[which] = (seq[which] + len(turn.payload)) % 2**32
        packet = bytearray(encode_v2(TCP, segment.encode(), count, 0))
        if turn.damage is not None and turn.damage[0] < len(packet):
            packet[turn.damage[0]] = turn.damage[1]
        yield turn, bytes(packet)
