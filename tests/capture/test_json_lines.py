from __future__ import annotations

import json

import pytest

from tests.capture.outputs import INFO, START_NS, MemoryOutput, use_version_1, use_version_2, use_while_full
from usbmux.capture.json_lines import JsonLines
from usbmux.capture.lines import LineTrace, TextLines
from usbmux.capture.pcapng_trace import PcapngTrace
from usbmux.mux.packet import ControlKind, MuxProtocol, encode_v2
from usbmux.mux.segment import Flags, Segment

START_S = START_NS // 1_000_000_000
ACROSS = {"time": START_S, "udid": INFO.serial_number}
SEGMENT_KEYS = {
    *("time", "udid", "direction", "what", "source_port", "destination_port", "flags", "seq", "ack", "window"),
    *("length", "reason", "tx_seq", "rx_seq"),
}


def documents(output: MemoryOutput) -> list[dict[str, object]]:
    assert all(record.endswith(b"\n") and record.count(b"\n") == 1 for record in output.records)
    return [json.loads(record) for record in output.records]


def test_link_of_version_2_is_an_object_a_packet_with_its_counts() -> None:
    output = MemoryOutput()
    use_version_2(LineTrace(output, JsonLines()))
    opened, offer, _answer, syn, reset, control, left, ended = documents(output)
    assert opened == {
        **ACROSS, "time": START_S + 0.000005, "direction": None, "what": "link_opened",
        "text": "link opened at 1-1, 480000000 bit/s", "port_path": "1-1", "connection_speed": 480_000_000,
    }  # fmt: skip
    assert offer == {
        **ACROSS, "direction": "out", "what": "packet", "text": "VERSION 2.0", "protocol": 0, "length": 12,
        "data": "000000020000000000000000",
    }  # fmt: skip
    assert syn == {
        **ACROSS, "direction": "out", "what": "segment", "source_port": 1, "destination_port": 7, "flags": ["SYN"],
        "seq": 0, "ack": 0, "window": 131_072, "length": 0, "reason": None, "tx_seq": 1, "rx_seq": 65_535,
    }  # fmt: skip
    assert reset == {
        **ACROSS, "direction": "in", "what": "segment", "source_port": 7, "destination_port": 1,
        "flags": ["RST", "ACK"], "seq": 4_294_967_295, "ack": 1, "window": 0, "length": 3, "reason": "no",
        "tx_seq": 0, "rx_seq": 1,
    }  # fmt: skip
    assert (control["protocol"], control["data"]) == (1, (b"\x05hm\nhm").hex())
    assert (left["direction"], left["what"], left["count"]) == ("in", "bytes_left", 1)
    assert (ended["direction"], ended["what"], ended["reason"]) == (None, "link_ended", "1-1 (05ac:12a8)?was unplugged")


def test_link_of_version_1_has_no_counts_and_shows_what_it_cannot_read() -> None:
    output = MemoryOutput()
    use_version_1(LineTrace(output, JsonLines()))
    _opened, skipped, _version, syn, unreadable, lost = documents(output)
    assert (skipped["what"], skipped["count"]) == ("bytes_skipped", 1)
    assert set(syn) == SEGMENT_KEYS
    assert (syn["tx_seq"], syn["rx_seq"]) == (None, None)
    assert (unreadable["what"], unreadable["length"], unreadable["data"]) == ("unreadable_segment", 5, b"short".hex())
    assert unreadable["reason"] == "TCP header cut short at 5 bytes"
    assert (lost["what"], lost["text"]) == ("framing_lost", f"framing lost: {lost['reason']}")


def test_long_packet_shows_its_length_and_first_bytes() -> None:
    output = MemoryOutput()
    link = LineTrace(output, JsonLines()).link_opened(INFO, START_NS, is_under_way=True)
    link.sent(encode_v2(MuxProtocol.CONTROL, bytes([ControlKind.INFO]) + b"a" * 10_000, 1, 1), START_NS)
    joined, control = documents(output)
    assert joined["what"] == "link_joined"
    assert (control["length"], control["data"]) == (10_001, "07" + "61" * 31)


@pytest.mark.parametrize("flags", [0, 0xC0, 0xFF])
def test_flags_without_a_name_are_left_out(flags: int) -> None:
    output = MemoryOutput()
    link = LineTrace(output, JsonLines()).link_opened(INFO, START_NS, is_under_way=True)
    link.sent(encode_v2(MuxProtocol.TCP, Segment(1, 7, 0, 0, flags, 0).encode(), 1, 1), START_NS)
    assert documents(output)[1]["flags"] == [flag.name for flag in Flags if flags & flag]


def test_output_is_full_next_object_taken_is_behind_one_that_counts() -> None:
    output = MemoryOutput()
    use_while_full(LineTrace(output, JsonLines()), output)
    assert [(each["what"], each.get("count")) for each in documents(output)[1:]] == [
        ("lines_dropped", 2),
        ("packet", None),
        ("lines_dropped", 1),
    ]


def test_same_link_in_each_form_events_have_the_same_words() -> None:
    lines, objects, blocks = MemoryOutput(), MemoryOutput(), MemoryOutput()
    for sink in (LineTrace(lines, TextLines()), LineTrace(objects, JsonLines()), PcapngTrace(blocks, "test")):
        use_version_2(sink)
    told = lines.data.decode().splitlines()
    found = documents(objects)
    assert len(told) == len(found)
    texts = [(line, str(each["text"])) for line, each in zip(told, found, strict=True) if "text" in each]
    assert len(texts) == 6
    for line, text in texts:
        assert line.endswith(f" {text}")
        assert text.encode() in blocks.data
