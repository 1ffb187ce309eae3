"""Mux packets out of any bytes: the same ones however they are cut, and nothing kept too long.

An input is the framing (one byte), the size of the pieces (one byte), and the stream.
"""

from __future__ import annotations

import struct
from typing import Final

from tests.fuzz.cursor import Cursor, pieces
from usbmux.errors import RemoteProtocolError
from usbmux.mux.packet import (
    HEADER_LENGTH,
    MAX_PACKET_LENGTH,
    MuxProtocol,
    Packet,
    PacketReader,
    Version,
    encode_v1,
    encode_v2,
)
from usbmux.mux.version_search import VersionSearch

MAX_LENGTH: Final = 4096
LONGEST_TAIL: Final = HEADER_LENGTH[1] + 12 - 1


def fuzz_one(data: bytes) -> None:
    cursor = Cursor(data)
    version, size = 1 + cursor.byte() % 2, 1 + cursor.byte()
    stream = cursor.rest()
    packets, error = read(version, [stream])
    cut_packets, cut_error = read(version, pieces(stream, size))
    assert cut_error == error
    # A packet out of several transfers is dropped if what follows is no header: it may hold the wrong bytes.
    assert cut_packets in ((packets, packets[:-1]) if error else (packets,))
    check_encoding(version, stream, packets)
    assert search(pieces(stream, size)) == search([stream])


def read(version: int, transfers: list[bytes]) -> tuple[list[Packet], str]:
    """The packets in these transfers, and the error that ended them."""
    reader = PacketReader(version)
    packets: list[Packet] = []
    for transfer in transfers:
        try:
            for packet in reader.receive_data(transfer):
                packets.append(packet)
        except RemoteProtocolError as error:
            return packets, str(error)
        assert len(reader.pending) < MAX_PACKET_LENGTH
    return packets, ""


def check_encoding(version: int, stream: bytes, packets: list[Packet]) -> None:
    """Written again, the packets are the beginning of the stream."""
    at = 0
    for packet in packets:
        if version == 1 or packet.protocol == MuxProtocol.VERSION:
            encoded = encode_v1(packet.protocol, bytes(packet.payload))
        else:
            (magic,) = struct.unpack_from(">I", stream, at + 8)  # which nobody keeps, because nobody looks at it
            encoded = encode_v2(packet.protocol, bytes(packet.payload), packet.tx_seq, packet.rx_seq, magic)
        assert stream[at : at + len(encoded)] == encoded
        at += len(encoded)


def search(transfers: list[bytes]) -> tuple[Version | None, int]:
    """The version that is found in the transfers, and how much came before it."""
    finder = VersionSearch()
    for transfer in transfers:
        if (found := finder.receive_data(transfer)) is not None:
            assert len(found[1]) <= len(transfer) + LONGEST_TAIL
            return found[0], finder.skipped
    return None, finder.skipped
