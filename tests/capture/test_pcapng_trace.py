"""Which packets a link becomes; that a program can read them shows tests/interop/test_tshark.py."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from tests.capture.outputs import INFO, START_NS, MemoryOutput
from usbmux.capture.pcapng_reader import PcapngReader
from usbmux.capture.pcapng_trace import PcapngTrace
from usbmux.capture.synthetic_ip import phone_address
from usbmux.mux.packet import ControlKind, MuxProtocol, Version, encode_v1, encode_v2
from usbmux.mux.segment import Flags, Segment

if TYPE_CHECKING:
    from collections.abc import Iterator

PHONE = str(IPv6Address(phone_address(INFO.serial_number)))
OFFER = encode_v1(MuxProtocol.VERSION, Version(2, 0).encode())
TCP = 6
EVENT = 59
OUT, IN = 2, 1


@dataclass(frozen=True, slots=True)
class Captured:
    interface: int
    time_ns: int
    flags: int
    source: str
    destination: str
    next_header: int
    payload: bytes
    comment: str


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, length = struct.unpack_from("<II", data)
        yield kind, data[8 : length - 4]
        data = data[length:]


def options(data: bytes) -> dict[int, bytes]:
    found = {}
    while data[:4] != bytes(4):
        code, length = struct.unpack_from("<HH", data)
        found[code] = data[4 : 4 + length]
        data = data[4 + (length + 3) // 4 * 4 :]
    return found


def packets(output: MemoryOutput) -> list[Captured]:
    found = []
    for kind, body in blocks(output.data):
        if kind == 6:
            interface, high, low, length, original = struct.unpack_from("<IIIII", body)
            assert length == original
            ip, its_options = body[20 : 20 + length], options(body[20 + (length + 3) // 4 * 4 :])
            assert int.from_bytes(ip[4:6]) == len(ip) - 40
            source, destination = str(IPv6Address(ip[8:24])), str(IPv6Address(ip[24:40]))
            flags = int.from_bytes(its_options[2], "little")
            comment = its_options.get(1, b"").decode()
            found.append(Captured(interface, high << 32 | low, flags, source, destination, ip[6], ip[40:], comment))
    return found


def kinds(output: MemoryOutput) -> list[int]:
    return [kind for kind, _body in blocks(output.data)]


def tcp(segment: Segment, count: int) -> bytes:
    return encode_v2(MuxProtocol.TCP, segment.encode(), count, 0)


def test_nothing_opened_file_has_its_header() -> None:
    output = MemoryOutput()
    PcapngTrace(output, "test")
    assert kinds(output) == [0x0A0D0D0A]


def test_link_opened_again_and_another_phone_there_is_an_interface_a_phone() -> None:
    output = MemoryOutput()
    trace = PcapngTrace(output, "test")
    trace.link_opened(INFO, START_NS).ended("unplugged", START_NS + 1)
    trace.link_opened(replace(INFO, port_path="1-2"), START_NS + 2)
    trace.link_opened(replace(INFO, serial_number="other"), START_NS + 3)
    assert kinds(output) == [0x0A0D0D0A, 1, 4, 6, 6, 6, 1, 4, 6]
    names = [options(body[8:])[2] for kind, body in blocks(output.data) if kind == 1]
    assert names == [INFO.serial_number.encode(), b"other"]
    assert [(packet.interface, packet.time_ns - START_NS, packet.comment) for packet in packets(output)] == [
        (0, 0, "link opened at 1-1, 480000000 bit/s"),
        (0, 1, "link ended: unplugged"),
        (0, 2, "link opened at 1-2, 480000000 bit/s"),
        (1, 3, "link opened at 1-1, 480000000 bit/s"),
    ]


def test_link_shakes_hands_and_speaks_events_are_commented_with_their_bytes() -> None:
    output = MemoryOutput()
    link = PcapngTrace(output, "test").link_opened(INFO, START_NS)
    link.sent(OFFER, START_NS)
    link.received(OFFER, START_NS)
    link.sent(encode_v2(MuxProtocol.SETUP, b"\x07", 0, 0xFFFF), START_NS)
    link.received(encode_v2(MuxProtocol.CONTROL, bytes([ControlKind.ERROR]) + b"ouch", 0, 0), START_NS)
    version = OFFER[8:]
    assert packets(output)[1:] == [
        Captured(0, START_NS, OUT, "fd00::1", PHONE, EVENT, version, "VERSION 2.0"),
        Captured(0, START_NS, IN, PHONE, "fd00::1", EVENT, version, "VERSION 2.0"),
        Captured(0, START_NS, OUT, "fd00::1", PHONE, EVENT, b"\x07", "SETUP 07"),
        Captured(0, START_NS, IN, PHONE, "fd00::1", EVENT, b"\x03ouch", "CONTROL ERROR: ouch"),
    ]


def test_port_used_again_host_has_another_address_that_answers_go_to() -> None:
    output = MemoryOutput()
    trace = PcapngTrace(output, "test")
    links = [trace.link_opened(INFO, START_NS) for _ in range(2)]
    for link in links:
        link.sent(OFFER, START_NS)
        link.received(OFFER, START_NS)
        link.sent(tcp(Segment(1, 7, 0, 0, Flags.SYN, 131072), 1), START_NS)
        link.received(tcp(Segment(7, 1, 5, 1, Flags.SYN | Flags.ACK, 131072), 0), START_NS)
    links[1].sent(tcp(Segment(2, 7, 0, 0, Flags.SYN, 131072), 2), START_NS)
    streams = [(packet.source, packet.destination) for packet in packets(output) if packet.next_header == TCP]
    assert streams == [
        ("fd00::1", PHONE),
        (PHONE, "fd00::1"),
        ("fd00::2", PHONE),
        (PHONE, "fd00::2"),
        ("fd00::1", PHONE),
    ]


def test_reset_with_a_text_has_it_as_comment_and_data_has_none() -> None:
    output = MemoryOutput()
    link = PcapngTrace(output, "test").link_opened(INFO, START_NS)
    link.sent(OFFER, START_NS)
    link.received(OFFER, START_NS)
    link.received(tcp(Segment(7, 1, 5, 1, Flags.ACK, 131072, b"data"), 0), START_NS)
    link.received(tcp(Segment(7, 1, 9, 1, Flags.RST, 0, b"amnesia\n"), 1), START_NS)
    data, reset = packets(output)[-2:]
    assert (data.payload[20:], data.comment) == (b"data", "")
    assert (reset.payload[20:], reset.comment) == (b"", "amnesia?")


def test_connection_is_older_than_the_capture_its_port_used_again_has_another_address() -> None:
    output = MemoryOutput()
    link = PcapngTrace(output, "test").link_opened(INFO, START_NS, is_under_way=True)
    link.sent(tcp(Segment(1, 7, 5, 5, Flags.ACK, 131072, b"late"), 8), START_NS)
    link.sent(tcp(Segment(1, 7, 9, 5, Flags.RST, 0), 9), START_NS)
    link.sent(tcp(Segment(1, 7, 0, 0, Flags.SYN, 131072), 10), START_NS)
    assert [(packet.source, packet.comment) for packet in packets(output)] == [
        ("fd00::1", "link joined while under way at 1-1, 480000000 bit/s"),
        ("fd00::1", ""),
        ("fd00::1", ""),
        ("fd00::2", ""),
    ]


def test_output_is_full_packets_are_counted_beside_the_next_one_and_at_the_end() -> None:
    output = MemoryOutput()
    trace = PcapngTrace(output, "test")
    link = trace.link_opened(INFO, START_NS)
    output.is_full = True
    link.sent(OFFER, START_NS)
    link.received(OFFER, START_NS)
    trace.link_opened(replace(INFO, serial_number="other"), START_NS)
    output.is_full = False
    link.sent(encode_v2(MuxProtocol.SETUP, b"\x07", 0, 0xFFFF), START_NS)
    output.is_full = True
    link.ended("unplugged", START_NS)
    trace.trace_ended(START_NS)
    assert kinds(output) == [0x0A0D0D0A, 1, 4, 6, 1, 4, 6, 5, 5]
    reader = PcapngReader()
    assert reader.receive_data(output.data) == output.data
    assert (reader.packets, reader.dropped) == (2, 4)
    beside = [options(body[20 + 44 :]) for kind, body in blocks(output.data) if kind == 6][-1]
    assert int.from_bytes(beside[4], "little") == 2
    statistics = [options(body[12:]) for kind, body in blocks(output.data) if kind == 5]
    counts = [(int.from_bytes(each[4], "little"), int.from_bytes(each[5], "little")) for each in statistics]
    assert counts == [(5, 3), (1, 1)]
