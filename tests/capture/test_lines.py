from __future__ import annotations

from datetime import datetime

from tests.capture.outputs import INFO, OFFER, START_NS, MemoryOutput, use_version_1, use_version_2, use_while_full
from usbmux.capture.lines import LineTrace, TextLines


def said(output: MemoryOutput) -> list[str]:
    """What stands behind moment and UDID in each line but the first."""
    return [line[27 + len(INFO.serial_number) + 1 :] for line in output.data.decode().splitlines()[1:]]


def test_link_of_version_2_is_a_line_a_packet_with_its_counts() -> None:
    output = MemoryOutput()
    use_version_2(LineTrace(output, TextLines()))
    moment = f"{datetime.fromtimestamp(START_NS // 1_000_000_000):%Y-%m-%d %H:%M:%S}"
    udid = INFO.serial_number
    assert output.data.decode().splitlines() == [
        f"{moment}.000005 {udid} --  link opened at 1-1, 480000000 bit/s",
        f"{moment}.000000 {udid} out VERSION 2.0",
        f"{moment}.000000 {udid} in  VERSION 2.0",
        f"{moment}.000000 {udid} out 1 > 7: [S] seq 0 ack 0 win 131072 length 0 (tx 1 rx 65535)",
        f"{moment}.000000 {udid} in  7 > 1: [R.] seq 4294967295:2 ack 1 win 0 length 3 b'no\\n' (tx 0 rx 1)",
        f"{moment}.000000 {udid} in  CONTROL WARNING: hm?hm",
        f"{moment}.000000 {udid} in  1 bytes of no whole packet",
        f"{moment}.000000 {udid} --  link ended: 1-1 (05ac:12a8)?was unplugged",
    ]
    assert all(record.endswith(b"\n") for record in output.records)


def test_link_of_version_1_has_no_counts_and_shows_what_it_cannot_read() -> None:
    output = MemoryOutput()
    use_version_1(LineTrace(output, TextLines()))
    assert said(output) == [
        "in  1 bytes passed over",
        "in  VERSION 1.0",
        "out 1 > 7: [S] seq 0 ack 0 win 131072 length 0",
        "in  TCP header cut short at 5 bytes: 73 68 6f 72 74",
        "in  framing lost: mux packet with impossible length 4294967295 (ff ff ff ff ff ff ff ff)",
    ]


def test_output_is_full_next_line_taken_is_behind_one_that_counts() -> None:
    output = MemoryOutput()
    trace = LineTrace(output, TextLines())
    use_while_full(trace, output)
    trace.trace_ended(START_NS)  # told once
    assert said(output) == [
        "--  2 lines dropped: they are read too slowly",
        "in  VERSION 2.0",
        "--  1 lines dropped: they are read too slowly",
    ]


class NarrowOutput(MemoryOutput):
    """Takes no record that is longer than `room`."""

    room = 1000

    def write(self, record: bytes, *, is_vital: bool = False) -> bool:
        return len(record) <= self.room and super().write(record, is_vital=is_vital)


def test_only_a_short_line_would_fit_it_does_not_come_before_the_one_that_counts() -> None:
    output = NarrowOutput()
    link = LineTrace(output, TextLines()).link_opened(INFO, START_NS)
    output.room = 0
    link.sent(OFFER, START_NS)
    output.room = len(" VERSION 2.0") + 60
    link.sent(OFFER, START_NS)
    output.room = 1000
    link.sent(OFFER, START_NS)
    assert said(output) == ["--  2 lines dropped: they are read too slowly", "out VERSION 2.0"]
