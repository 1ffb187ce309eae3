"""Segments out of any bytes: written again they are the same, but for the fields that mean nothing here."""

from __future__ import annotations

from typing import Final

from usbmux.errors import RemoteProtocolError
from usbmux.mux.segment import HEADER_LENGTH, MAX_REASON_LENGTH, Segment, reset_text, seq_add, seq_diff, seq_le

MAX_LENGTH: Final = 2048


def fuzz_one(data: bytes) -> None:
    try:
        segment = Segment.decode(data)
    except RemoteProtocolError:
        return
    # The low half of the data offset, the checksum and the urgent pointer are passed over.
    expected = data[:12] + b"\x50" + data[13:16] + bytes(4) + data[HEADER_LENGTH:]
    assert segment.encode() == expected
    assert Segment.decode(expected) == segment
    assert str(segment).isprintable()
    check_text(segment)
    check_arithmetic(segment.seq, segment.ack)


def check_text(segment: Segment) -> None:
    text = reset_text(segment)
    assert len(text) <= MAX_REASON_LENGTH
    assert text.isprintable()


def check_arithmetic(seq: int, ack: int) -> None:
    difference = seq_diff(seq, ack)
    assert -(2**31) <= difference < 2**31
    assert seq_add(ack, difference) == seq
    assert seq_le(seq, ack) == (difference <= 0)
