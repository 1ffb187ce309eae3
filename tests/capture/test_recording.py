from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.capture.outputs import INFO, START_NS, MemoryOutput
from usbmux.capture.output import open_output
from usbmux.capture.recording import RecordedLink, RecordedTransfer, Recorder, read_recording
from usbmux.capture.transcript import Direction
from usbmux.errors import UsbmuxError

if TYPE_CHECKING:
    from pathlib import Path

OTHER = replace(INFO, serial_number="other")
HEADER = '{"format": "usbmux recording", "version": 1}'
OPEN = json.dumps(
    {
        "link": 0,
        "t": 1,
        "open": {
            "serial_number": "a",
            "product_id": 1,
            "location_id": 2,
            "connection_speed": 3,
            "port_path": "1-1",
        },
    }
)


def test_recorded_links_of_two_phones_are_read_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    output = open_output(str(path))
    recorder = Recorder(output)
    first = recorder.link_opened(INFO, START_NS)
    second = recorder.link_opened(OTHER, START_NS + 1)
    assert first is not None
    assert second is not None
    first.sent(b"\0out", START_NS + 2)
    second.received(memoryview(b"\xffin"), START_NS + 3)
    first.ended("unplugged", START_NS + 4)
    second.sent(b"late", START_NS + 5)
    output.close()
    assert read_recording(path) == [
        RecordedLink(INFO, [RecordedTransfer(Direction.OUT, b"\0out", START_NS + 2)], "unplugged"),
        RecordedLink(
            OTHER,
            [
                RecordedTransfer(Direction.IN, b"\xffin", START_NS + 3),
                RecordedTransfer(Direction.OUT, b"late", START_NS + 5),
            ],
        ),
    ]


def test_link_is_under_way_recorder_leaves_it_out() -> None:
    output = MemoryOutput()
    recorder = Recorder(output)
    assert recorder.link_opened(INFO, START_NS, is_under_way=True) is None
    recorder.trace_ended(START_NS)
    assert output.data.decode() == HEADER + "\n"


def test_recorder_writes_a_line_an_event() -> None:
    output = MemoryOutput()
    link = Recorder(output).link_opened(INFO, START_NS)
    assert link is not None
    link.sent(b"\0\1", START_NS)
    header, _opened, sent = output.data.splitlines()
    assert header.decode() == HEADER
    assert json.loads(sent) == {"link": 0, "t": START_NS, "out": "AAE="}


def test_last_line_is_cut_off_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_text(f'{HEADER}\n{OPEN}\n{{"link": 0, "t": 2, "out": "AA==')
    (link,) = read_recording(path)
    assert link.transfers == []
    assert link.ended is None


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "the file is empty"),
        (["nonsense"], "line 1: Expecting value"),
        (["{}"], 'line 1: expected {"format"'),
        ([HEADER, "[" * 100_000], "line 2: "),
        ([HEADER, "[]"], "line 2: expected an object"),
        ([HEADER, '{"link": 0, "t": 1, "in": ""}'], "line 2: link 0 has not begun"),
        ([HEADER, OPEN.replace('"link": 0', '"link": 1')], "line 2: link 1 begins, expected 0"),
        ([HEADER, OPEN.replace('"product_id": 1, ', "")], "line 2: product_id: expected int, found None"),
        (
            [HEADER, OPEN.replace('"product_id": 1', '"product_id": 65536')],
            "line 2: product_id: 65536 is not in 0..65535",
        ),
        ([HEADER, OPEN.replace('"location_id": 2', '"location_id": -1')], "line 2: location_id: -1 is not in 0.."),
        ([HEADER, OPEN.replace('_speed": 3', '_speed": -3')], "line 2: connection_speed: -3 is not in 0.."),
        ([HEADER, OPEN, '{"link": 0, "t": 1, "in": "?"}'], "line 3: "),
        ([HEADER, OPEN, '{"link": 0, "t": "now", "in": ""}'], "line 3: t: expected int, found 'now'"),
        ([HEADER, OPEN, '{"link": 0, "t": 1}'], "line 3: end: expected str, found None"),
    ],
)
def test_file_that_is_no_recording_is_refused_with_its_line(tmp_path: Path, lines: list[str], complaint: str) -> None:
    path = tmp_path / "recording"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(UsbmuxError) as refused:
        read_recording(path)
    assert str(refused.value).startswith(str(path))
    assert complaint in str(refused.value)


def test_file_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsbmuxError, match="No such file or directory"):
        read_recording(tmp_path / "missing")
