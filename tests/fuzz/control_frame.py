"""Frames of the client protocol out of any bytes: the same ones however they are cut or asked for.

An input is the longest frame taken (one byte chooses), the size of the pieces (one byte), and the stream.
"""

from __future__ import annotations

from typing import Final

from tests.fuzz.cursor import Cursor, pieces
from usbmux.control.frame import HEADER_LENGTH, MAX_FRAME_LENGTH, MAX_REPLY_LENGTH, Frame, FrameReader
from usbmux.errors import RemoteProtocolError

MAX_LENGTH: Final = 4096
LIMITS: Final = (MAX_FRAME_LENGTH, MAX_REPLY_LENGTH, HEADER_LENGTH, 100)


def fuzz_one(data: bytes) -> None:
    cursor = Cursor(data)
    limit, size = LIMITS[cursor.byte() % len(LIMITS)], 1 + cursor.byte()
    stream = cursor.rest()
    frames, error, rest = read(limit, [stream])
    assert read(limit, pieces(stream, size)) == (frames, error, rest)
    if not error:
        assert b"".join(frame.encode() for frame in frames) + rest == stream
    assert read_exactly(limit, stream) == (frames, error)


def read(limit: int, parts: list[bytes]) -> tuple[list[Frame], str, bytes]:
    """The frames in these parts, the error that ended them, and what is left."""
    reader = FrameReader(limit)
    frames: list[Frame] = []
    error = ""
    for part in parts:
        reader.receive_data(part)
        error = take_frames(reader, frames)
        assert error or reader.bytes_needed > 0
    return frames, error, reader.take_rest()


def take_frames(reader: FrameReader, frames: list[Frame]) -> str:
    try:
        while (frame := reader.next_frame()) is not None:
            frames.append(frame)
    except RemoteProtocolError as error:
        assert reader.bytes_needed == 0
        return str(error)
    return ""


def read_exactly(limit: int, stream: bytes) -> tuple[list[Frame], str]:
    """What a shell reads that takes from its socket no more than the reader needs."""
    reader = FrameReader(limit)
    frames: list[Frame] = []
    at = 0
    while at < len(stream):
        count = reader.bytes_needed
        assert 0 < count <= limit
        reader.receive_data(stream[at : at + count])
        at += count
        before = len(frames)
        error = take_frames(reader, frames)
        assert len(frames) <= before + 1, "read beyond a frame"
        if error:
            return frames, error
    return frames, ""
