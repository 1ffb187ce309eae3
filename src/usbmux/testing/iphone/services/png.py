"""Pictures as PNG files, drawn row by row."""

import struct
import zlib
from collections.abc import Iterable
from typing import Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_RGB: Final = 2
_BYTES_A_PIXEL: Final = 3


def encode(width: int, height: int, rows: Iterable[bytes]) -> bytes:
    """The file of a picture; each row is `width` times a red, a green and a blue byte, from the top down."""
    header = struct.pack(">IIBBBBB", width, height, 8, _RGB, 0, 0, 0)
    compressor = zlib.compressobj(1)
    pieces = []
    for row in rows:
        assert len(row) == width * _BYTES_A_PIXEL
        pieces.append(compressor.compress(b"\0" + row))  # 0: the row is not filtered
    pieces.append(compressor.flush())
    return b"".join((_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", b"".join(pieces)), _chunk(b"IEND", b"")))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
