from __future__ import annotations

from dataclasses import replace

from tests.capture.outputs import INFO, START_NS, MemoryOutput
from usbmux.capture.lines import LineTrace, TextLines
from usbmux.capture.selected_phone import SelectedPhone


def test_links_of_two_phones_only_the_chosen_ones_are_told_and_the_end() -> None:
    output = MemoryOutput()
    selected = SelectedPhone(LineTrace(output, TextLines()), INFO.serial_number)
    assert selected.link_opened(replace(INFO, serial_number="other"), START_NS) is None
    assert output.data == b""
    assert selected.link_opened(INFO, START_NS, is_under_way=True) is not None
    assert b"--  link joined while under way at 1-1" in output.data
    output.is_full = True
    assert selected.link_opened(INFO, START_NS) is not None
    selected.trace_ended(START_NS)
    assert b"1 lines dropped" in output.data
