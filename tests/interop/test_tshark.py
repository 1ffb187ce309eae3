"""Captures, read again by a program that knows TCP and nothing of the mux."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shlex
import signal
from typing import TYPE_CHECKING

import pytest

from tests.capture.serving import DIGEST, ECHO, HARD, SENT, SOURCE, SOURCE_LENGTH, phone, serving, use_every_port
from tests.e2e.usbmuxd import COMMAND, UDIDS, start_usbmuxd
from tests.interop.capture_file import Capture, capture_reader
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from tests.support.streams import echoed, receive_exactly
from usbmux import Client
from usbmux.capture.output import open_output
from usbmux.capture.pcapng_trace import PcapngTrace
from usbmux.testing import PhoneOptions, pattern

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.compatibility import CompatibilityTable

pytestmark = pytest.mark.interop

COUNT = SOURCE_LENGTH.to_bytes(8)
versions = pytest.mark.parametrize("mux_version", [1, 2])


@pytest.fixture
def capture_of(compatibility: CompatibilityTable) -> Callable[[Path], Capture]:
    return capture_reader(compatibility, "usbmuxd --capture FILE")


def capture_in_process(folder: Path, mux_version: int, options: PhoneOptions | None) -> Path:
    """What a client does with every port, with a daemon in this process."""
    path = folder / "capture.pcapng"

    async def serve() -> None:
        output = open_output(str(path))
        async with serving(folder, phone(mux_version, options), PcapngTrace(output, "tests")) as client:
            await use_every_port(client)
        output.close()

    asyncio.run(serve())
    return path


@versions
@pytest.mark.parametrize("options", [None, HARD], ids=["plain", "hard"])
def test_every_port_used_streams_are_what_was_transferred(
    tmp_path: Path, capture_of: Callable[[Path], Capture], mux_version: int, options: PhoneOptions | None
) -> None:
    capture = capture_of(capture_in_process(tmp_path, mux_version, options))
    capture.assert_sound()
    digest = hashlib.sha256(SENT).digest()
    assert capture.streams() == [
        (SENT, SENT),
        (COUNT, bytes(pattern(SOURCE_LENGTH))),
        (b"", b""),
        (len(SENT).to_bytes(8) + SENT, digest),
    ]


@versions
def test_every_port_used_handshakes_and_windows_are_those_of_the_mux(
    tmp_path: Path, capture_of: Callable[[Path], Capture], mux_version: int
) -> None:
    capture = capture_of(capture_in_process(tmp_path, mux_version, None))
    opening = ["tcp.flags", "tcp.options.wscale.multiplier", "tcp.window_size", "tcp.dstport", "tcp.srcport"]
    ports = [str(port) for port in (ECHO, SOURCE, DIGEST)]
    assert capture.fields("tcp.flags.syn == 1 and tcp.flags.ack == 1", *opening[:3]) == [["0x0012", "256", "65535"]] * 3
    assert len(capture.fields("tcp.flags.syn == 1 and tcp.flags.ack == 0", *opening)) == 4
    assert sorted({port for (port,) in capture.fields("tcp.flags == 0x12", "tcp.srcport")}) == sorted(ports)
    windows = capture.fields("tcp.flags == 0x10", "tcp.window_size")
    assert {window for (window,) in windows} == {"131072"}


def test_every_port_used_interface_and_comments_tell_of_the_phone(
    tmp_path: Path, capture_of: Callable[[Path], Capture]
) -> None:
    capture = capture_of(capture_in_process(tmp_path, 2, None))
    (name,) = {tuple(row) for row in capture.fields("frame", "frame.interface_name")}
    assert name == (phone().udid,)
    (description,) = {tuple(row) for row in capture.fields("frame", "frame.interface_description")}
    assert description == ("iPhone (product 0x12a8) at 1-1",)
    comments = [comment for (comment,) in capture.fields("frame.comment and not tcp", "frame.comment")]
    assert comments == [
        "link opened at 1-1, 480000000 bit/s",
        "VERSION 2.0",
        "VERSION 2.0",
        "SETUP 07",
        "link ended: closed by us",
    ]
    times = [float(time) for (time,) in capture.fields("frame", "frame.time_delta")]
    assert all(0 <= time < 60 for time in times)


def test_daemon_process_writes_all_three_traces_of_two_phones(
    tmp_path: Path, capture_of: Callable[[Path], Capture]
) -> None:
    paths = {name: tmp_path / name for name in ("trace", "capture", "record")}
    with start_usbmuxd(
        tmp_path, "-p", *(part for name, path in paths.items() for part in (f"--{name}", str(path)))
    ) as daemon:
        for udid in UDIDS.values():
            assert echoed(daemon.client().connect(udid, ECHO), SENT) == SENT
    capture = capture_of(paths["capture"])
    capture.assert_sound()
    assert capture.streams() == [(SENT, SENT)] * 2
    names = {name for (name,) in capture.fields("tcp", "frame.interface_name")}
    assert names == set(UDIDS.values())
    lines = paths["trace"].read_text().splitlines()
    assert len(lines) == len(capture.fields("frame", "frame.number"))
    assert all(any(udid in line for udid in UDIDS.values()) for line in lines)
    assert paths["record"].read_text().startswith('{"format": "usbmux recording", "version": 1}\n')


def test_daemon_process_is_killed_capture_is_readable_up_to_then(
    tmp_path: Path, capture_of: Callable[[Path], Capture]
) -> None:
    socket_path, path = tmp_path / "usbmuxd", tmp_path / "capture"
    command = [*COMMAND, "-p", "-S", str(socket_path), "--simulate", "--capture", str(path)]
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        with Client(str(socket_path)).connect(None, SOURCE) as connection:
            connection.sendall(COUNT)
            assert receive_exactly(connection, SOURCE_LENGTH) == pattern(SOURCE_LENGTH)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    capture = capture_of(path)
    capture.assert_sound()
    assert capture.streams() == [(COUNT, bytes(pattern(SOURCE_LENGTH)))]


def test_daemon_process_captures_to_standard_output_it_can_be_piped(
    tmp_path: Path, capture_of: Callable[[Path], Capture]
) -> None:
    socket_path, path = tmp_path / "usbmuxd", tmp_path / "capture"
    command = shlex.join([*COMMAND, "-p", "-S", str(socket_path), "--simulate", "--capture", "-"])
    # The signal that ends the daemon goes to the reader too, which must not mind.
    script = f"trap '' TERM; {command} | cat >{path}"
    with ChildProcess(["sh", "-c", script], environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        assert echoed(Client(str(socket_path)).connect(None, ECHO), SENT) == SENT
        process.stop()
    capture = capture_of(path)
    capture.assert_sound()
    assert capture.streams() == [(SENT, SENT)]
