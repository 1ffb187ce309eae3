"""The TCP-shaped header that carries every stream, and arithmetic on its sequence numbers.

Rules T1 to T6 of docs/protocol/mux.md. Names follow RFC 9293.
"""

import struct
from enum import IntFlag
from typing import Final, NamedTuple

from usbmux.errors import RemoteProtocolError
from usbmux.mux.packet import phone_text

_HEADER: Final = struct.Struct(">HHIIBBHHH")
_PORTS: Final = struct.Struct(">HH")
HEADER_LENGTH: Final = _HEADER.size
WINDOW_SHIFT: Final = 8
"""Windows are scaled by 2^8, without any negotiation (T3)."""
MAX_WINDOW: Final = 0xFFFF << WINDOW_SHIFT
DATA_OFFSET: Final = 5 << 4
"""Its field in a header without options."""
MAX_REASON_LENGTH: Final = 512
"""Longest RST text that is kept, in bytes."""
_MODULUS: Final = 1 << 32
_HALF: Final = 1 << 31


class Flags(IntFlag):
    """The control bits of RFC 9293 section 3.1 that this protocol knows by name."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10
    URG = 0x20


# As plain numbers: to combine members takes longer than all else that is done with a packet.
SYN: Final = int(Flags.SYN)
RST: Final = int(Flags.RST)
ACK: Final = int(Flags.ACK)


_LETTERS: Final = (
    (Flags.SYN, "S"),
    (Flags.FIN, "F"),
    (Flags.RST, "R"),
    (Flags.PSH, "P"),
    (Flags.URG, "U"),
    (Flags.ACK, "."),
)


class Segment(NamedTuple):  # one is made for most packets; to make a frozen dataclass takes four times as long
    """One segment: what a TCP packet of the mux carries."""

    source_port: int
    destination_port: int
    seq: int
    ack: int
    flags: int
    """A combination of `Flags`, or whatever bits the peer set."""
    window: int
    """In bytes: already scaled. Rounded down to a multiple of 256 on the wire."""
    payload: memoryview | bytes = b""

    def encode(self) -> bytes:
        """Header and payload in one piece."""
        header = _HEADER.pack(
            self.source_port,
            self.destination_port,
            self.seq,
            self.ack,
            DATA_OFFSET,
            self.flags,
            min(self.window >> WINDOW_SHIFT, 0xFFFF),
            0,
            0,
        )
        return b"".join((header, self.payload)) if self.payload else header

    @classmethod
    def decode(cls, data: bytes | memoryview) -> "Segment":
        """Read a segment; its payload is a view of `data`.

        Raises:
            RemoteProtocolError: Shorter than the header, or a header with options.
        """
        view = memoryview(data)
        if len(view) < HEADER_LENGTH:
            raise RemoteProtocolError(f"TCP header cut short at {len(view)} bytes", bytes(view))
        source, destination, seq, ack, offset, flags, window, _checksum, _urgent = _HEADER.unpack_from(view)
        if offset >> 4 != DATA_OFFSET >> 4:
            raise RemoteProtocolError(f"TCP header with data offset {offset >> 4}", bytes(view[:HEADER_LENGTH]))
        return cls(source, destination, seq, ack, flags, window << WINDOW_SHIFT, view[HEADER_LENGTH:])

    def __str__(self) -> str:
        """Tcpdump's form, so that a failed assertion reads as a trace."""
        letters = "".join(letter for flag, letter in _LETTERS if self.flags & flag) or "none"
        length = len(self.payload)
        span = f"{self.seq}:{seq_add(self.seq, length)}" if length else f"{self.seq}"
        ports = f"{self.source_port} > {self.destination_port}"
        text = f"{ports}: [{letters}] seq {span} ack {self.ack} win {self.window} length {length}"
        if self.flags & Flags.RST and length:
            text += f" {bytes(self.payload)!r}"
        return text


def seq_add(seq: int, count: int) -> int:
    """`seq` plus `count` modulo 2^32."""
    return (seq + count) % _MODULUS


def seq_diff(left: int, right: int) -> int:
    """The signed distance from `right` to `left` modulo 2^32: positive when `left` is later."""
    return (left - right + _HALF) % _MODULUS - _HALF


def seq_le(left: int, right: int) -> bool:
    """Whether `left` is not later than `right`."""
    return seq_diff(left, right) <= 0


def reset_text(segment: Segment) -> str:
    """The reason in an RST, bounded; see `phone_text`."""
    return phone_text(segment.payload[:MAX_REASON_LENGTH])


def ports_of(data: bytes | memoryview) -> tuple[int, int]:
    """Source and destination port of what may be no segment; 0, which is no port, for what is not there."""
    return _PORTS.unpack(bytes(data[: _PORTS.size]).ljust(_PORTS.size, b"\0"))
