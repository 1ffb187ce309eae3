"""bench/fakeusb keeps to the rules of USB, and its phone to those of docs/protocol/mux.md."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.bench.fake_bus import ADD_ZERO_PACKET, CANCELLED, COMPLETED
from usbmux.mux.packet import MuxProtocol, Version, encode_v1, encode_v2
from usbmux.mux.segment import Flags, Segment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.conftest import MakesBus

SOURCE, ECHO, CLOSED = 1, 7, 4
HEADERS = 36
SCRIPT = """
import pathlib, sys
from tests.bench.fake_bus import FakeBus
from usbmux.mux.segment import Flags, Segment
bus = FakeBus(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
bus.shake_hands()
bus.connect(7)
"""


def test_handshaken_syn_to_a_port_is_accepted(bus_with: MakesBus) -> None:
    bus = bus_with()
    bus.shake_hands()
    answer = bus.connect(SOURCE)
    assert (answer.flags, answer.seq, answer.ack, answer.window) == (Flags.SYN | Flags.ACK, 0, 1, 131072)


def test_handshaken_syn_to_a_closed_port_is_refused(bus_with: MakesBus) -> None:
    bus = bus_with()
    bus.shake_hands()
    answer = bus.connect(CLOSED)
    assert (answer.flags, answer.ack) == (Flags.RST, 1)


def test_source_packet_shorter_than_the_read_ends_it(bus_with: MakesBus) -> None:
    bus = bus_with(segment=2000)
    bus.shake_hands()
    bus.connect(SOURCE)
    reads = [bus.read(16384) for _ in range(2)]
    bus.handle_events()
    assert [len(read.data) for read in reads] == [2000 + HEADERS] * 2


def test_source_packet_longer_than_the_read_goes_on_in_the_next(bus_with: MakesBus) -> None:
    bus = bus_with(segment=4096)
    bus.shake_hands()
    bus.connect(SOURCE)
    reads = [bus.read(3072) for _ in range(2)]
    bus.handle_events()
    assert [len(read.data) for read in reads] == [3072, 4096 + HEADERS - 3072]


def test_source_packet_of_whole_usb_packets_is_ended_by_an_empty_one(bus_with: MakesBus) -> None:
    bus = bus_with(segment=2048 - HEADERS)
    bus.shake_hands()
    bus.connect(SOURCE)
    reads = [bus.read(length) for length in (4096, 2048, 2048)]
    bus.handle_events()
    # The first has room for more and is ended early; the second is full, so the empty packet takes the third.
    assert [len(read.data) for read in reads] == [2048, 2048, 0]


def test_source_without_empty_packets_leaves_a_larger_read_waiting(bus_with: MakesBus) -> None:
    bus = bus_with(segment=16384 - HEADERS, omit=1)
    bus.shake_hands()
    bus.connect(SOURCE, window=16384)
    read = bus.read(32768)
    bus.handle_events()
    assert read.status == -1
    bus.send(Segment(1, SOURCE, 1, 1 + 16384 - HEADERS, Flags.ACK, 16384))
    bus.handle_events()
    assert len(read.data) == 32768


def test_source_window_full_sends_no_more(bus_with: MakesBus) -> None:
    bus = bus_with(segment=1000)
    bus.shake_hands()
    bus.connect(SOURCE, window=2560)
    reads = [bus.read(2048) for _ in range(3)]
    bus.handle_events()
    assert [read.status for read in reads] == [COMPLETED, COMPLETED, -1]


def test_reading_cancelled_read_ends_without_data(bus_with: MakesBus) -> None:
    bus = bus_with()
    bus.shake_hands()
    read = bus.read(2048)
    bus.cancel(read)
    bus.handle_events()
    assert (read.status, read.data) == (CANCELLED, b"")


def test_echo_message_comes_back_with_its_acknowledgement(bus_with: MakesBus) -> None:
    bus = bus_with()
    bus.shake_hands()
    bus.connect(ECHO)
    read = bus.read(2048)
    bus.send(Segment(1, ECHO, 1, 1, Flags.ACK, 131072, b"hello"))
    bus.handle_events()
    answer = Segment.decode(read.data[16:])
    assert (bytes(answer.payload), answer.seq, answer.ack) == (b"hello", 1, 6)


def test_write_of_whole_usb_packets_with_its_empty_one_is_taken(bus_with: MakesBus) -> None:
    bus = bus_with()
    bus.shake_hands()
    bus.connect(ECHO)
    data = bytes(1024 - HEADERS)
    read = bus.read(2048)
    segment = Segment(1, ECHO, 1, 1, Flags.ACK, 131072, data).encode()
    bus.write(encode_v2(MuxProtocol.TCP, segment, 2, 0), flags=ADD_ZERO_PACKET)
    bus.handle_events()
    assert bytes(Segment.decode(read.data[16:]).payload) == data


def test_limited_rate_transfer_is_not_over_at_once(bus_with: MakesBus) -> None:
    bus = bus_with(rate=1)  # the twenty bytes of VERSION take twenty seconds
    write = bus.write(encode_v1(MuxProtocol.VERSION, Version(2, 0).encode()))
    bus.handle_events()
    assert write.status == -1


def test_shared_link_both_directions_together_take_the_time_of_their_sum(bus_with: MakesBus) -> None:
    bus = bus_with(rate=1_000_000, shared=1, segment=20_000)
    bus.shake_hands()
    bus.connect(ECHO)
    bus.connect(SOURCE, host_port=2, window=20_480)
    began = time.monotonic()
    both = bus.read(32768), bus.send(Segment(1, ECHO, 1, 1, Flags.ACK, 131072, bytes(20_000)))
    bus.wait(*both)
    assert time.monotonic() - began >= 0.04


def test_delivered_completion_keeps_the_next_one_back(bus_with: MakesBus) -> None:
    bus = bus_with(interrupt=20_000_000)
    bus.shake_hands()
    began = time.monotonic()
    for _ in range(2):
        read = bus.read(512)
        bus.send(Segment(1, CLOSED, 0, 0, Flags.SYN, 131072))
        bus.wait(read)
    assert time.monotonic() - began >= 0.02


def test_connected_segment_with_a_gap_ends_the_run_with_a_message(fake_library: Path, tmp_path: Path) -> None:
    ended = run_script(fake_library, tmp_path, "bus.send(Segment(1, 7, 2, 1, Flags.ACK, 131072, b'x'))")
    assert "violation: sequence number 2 instead of 1" in ended


def test_connected_acknowledgement_of_nothing_sent_ends_the_run_with_a_message(
    fake_library: Path, tmp_path: Path
) -> None:
    ended = run_script(fake_library, tmp_path, "bus.send(Segment(1, 7, 1, 2, Flags.ACK, 131072))")
    assert "violation: acknowledged 2" in ended


def test_connected_data_beyond_the_window_ends_the_run_with_a_message(fake_library: Path, tmp_path: Path) -> None:
    burst = "[bus.send(Segment(1, 7, 1 + i * 30000, 1, Flags.ACK, 131072, bytes(30000))) for i in range(5)]"
    assert "beyond the window" in run_script(fake_library, tmp_path, burst)


def test_write_of_whole_usb_packets_without_its_empty_one_ends_the_run(fake_library: Path, tmp_path: Path) -> None:
    writes = "[bus.send(Segment(1, 7, 1 + i * 988, 1, Flags.ACK, 131072, bytes(988))) for i in range(2)]"
    assert "where an empty one is due" in run_script(fake_library, tmp_path, writes)


def run_script(library: Path, folder: Path, line: str) -> str:
    command = [sys.executable, "-c", SCRIPT + line, str(library), str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode != 0
    return ended.stderr
