from __future__ import annotations

import pytest

from usbmux.errors import RemoteProtocolError
from usbmux.mux.packet import Packet, PacketReader, Version, encode_v1, encode_v2

GOLDEN_VERSION = bytes.fromhex("00000000 00000014 00000002 00000000 00000000")
GOLDEN_SETUP = bytes.fromhex("00000002 00000011 feedface 0000 ffff 07")
GOLDEN_CONTROL = bytes.fromhex("00000001 00000013 faceface 1234 abcd 05 6869")
GOLDEN_CONTROL_V1 = bytes.fromhex("00000001 0000000b 05 6869")


def test_version_encoded_is_twenty_bytes_with_padding() -> None:
    assert encode_v1(0, Version(2, 0).encode()) == GOLDEN_VERSION


def test_setup_encoded_has_magic_and_sequence_numbers() -> None:
    assert encode_v2(2, b"\x07", 0, 0xFFFF) == GOLDEN_SETUP


def test_control_encoded_with_the_magic_of_a_phone() -> None:
    assert encode_v2(1, b"\x05hi", 0x1234, 0xABCD, magic=0xFACEFACE) == GOLDEN_CONTROL


@pytest.mark.parametrize(
    ("version", "data", "packet"),
    [
        (1, GOLDEN_VERSION, Packet(0, Version(2, 0).encode())),
        (2, GOLDEN_VERSION, Packet(0, Version(2, 0).encode())),
        (2, GOLDEN_SETUP, Packet(2, b"\x07", 0, 0xFFFF)),
        (2, GOLDEN_CONTROL, Packet(1, b"\x05hi", 0x1234, 0xABCD)),
        (1, GOLDEN_CONTROL_V1, Packet(1, b"\x05hi")),
    ],
)
def test_reader_golden_bytes_are_decoded(version: int, data: bytes, packet: Packet) -> None:
    reader = PacketReader(version)
    assert list(reader.receive_data(data)) == [packet]
    assert not reader.pending


def test_version_decoded_ignores_what_follows() -> None:
    assert Version.decode(GOLDEN_VERSION[8:] + b"more") == Version(2, 0)


@pytest.mark.parametrize("length", [0, 4, 11])
def test_version_too_short_is_refused(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match="too short") as caught:
        Version.decode(memoryview(GOLDEN_VERSION)[8 : 8 + length])
    assert caught.value.data == GOLDEN_VERSION[8 : 8 + length]


def header(protocol: int, length: int) -> bytes:
    return protocol.to_bytes(4, "big") + length.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("version", "protocol", "length"),
    [
        (1, 6, 0),
        (1, 6, 7),
        (2, 6, 0),
        (2, 6, 7),
        (2, 6, 8),
        (2, 6, 15),
        (2, 0, 7),
        (1, 6, 65537),
        (2, 6, 65537),
        (2, 0, 65537),
        (1, 6, 2**32 - 1),
        (2, 6, 2**32 - 1),
    ],
)
def test_reader_impossible_length_loses_the_framing_as_soon_as_it_is_known(
    version: int, protocol: int, length: int
) -> None:
    reader = PacketReader(version)
    data = header(protocol, length)
    assert list(reader.receive_data(data[:7])) == []
    with pytest.raises(RemoteProtocolError, match=f"impossible length {length}$") as caught:
        list(reader.receive_data(data[7:]))
    assert caught.value.data == data


@pytest.mark.parametrize(
    ("version", "protocol", "length", "payload_length"),
    [
        (1, 6, 8, 0),
        (1, 6, 15, 7),
        (1, 6, 16, 8),
        (2, 6, 16, 0),
        (2, 0, 8, 0),
        (2, 0, 15, 7),
        (1, 6, 65535, 65527),
        (1, 6, 65536, 65528),
        (2, 6, 65535, 65519),
        (2, 6, 65536, 65520),
    ],
)
def test_reader_possible_length_is_taken(version: int, protocol: int, length: int, payload_length: int) -> None:
    data = header(protocol, length) + bytes(length - 8)
    packets = list(PacketReader(version).receive_data(data))
    assert [(packet.protocol, len(packet.payload)) for packet in packets] == [(protocol, payload_length)]


def test_reader_impossible_length_after_a_whole_packet_yields_that_packet_first() -> None:
    packets = PacketReader(2).receive_data(GOLDEN_SETUP + header(6, 15) + bytes(60))
    assert next(packets) == Packet(2, b"\x07", 0, 0xFFFF)
    with pytest.raises(RemoteProtocolError) as caught:
        next(packets)
    assert caught.value.data == header(6, 15) + bytes(60)
