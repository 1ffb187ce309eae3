from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from usbmux.capture.output import FileOutput, QueuedOutput, open_output, open_private, take_back
from usbmux.errors import UsbmuxError

if TYPE_CHECKING:
    from pathlib import Path


LIMITED = """
import logging, resource, sys
from usbmux.capture.output import open_output
logging.basicConfig(stream=sys.stderr)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # of this process alone, whose own output goes to pipes
output = open_output(sys.argv[1])
output.write(b"x" * 60)
output.write(b"y" * 60)
output.write(b"z")
output.close()
"""


def test_file_is_for_its_owner_alone_and_has_each_record_at_once(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    output = open_output(str(path))
    output.write(b"one")
    assert path.read_bytes() == b"one"
    output.write(b"two")
    assert path.read_bytes() == b"onetwo"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    output.close()


def test_file_of_an_old_trace_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(b"old")
    open_output(str(path)).close()
    assert path.read_bytes() == b""


def test_file_that_cannot_be_made_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsbmuxError, match=r"cannot write .*/missing/trace: No such file or directory"):
        open_output(str(tmp_path / "missing/trace"))


def test_disk_is_full_first_record_fails_said_once(caplog: pytest.LogCaptureFixture) -> None:
    output = FileOutput(os.open("/dev/full", os.O_WRONLY), "/dev/full")
    output.write(b"one")
    output.write(b"two")
    output.close()
    assert caplog.messages == ["/dev/full: No space left on device; nothing more is written to it"]


def test_disk_becomes_full_amid_a_record_whole_records_stay(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    child = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=True)
    assert path.read_bytes() == b"x" * 60
    assert len(child.stderr.splitlines()) == 1


def test_pipe_is_read_gets_everything_that_was_written_before_the_close() -> None:
    readable, writable = os.pipe()
    output = QueuedOutput(FileOutput(writable, "pipe"))
    output.write(b"one")
    output.write(b"two")
    output.close()
    with open(readable, "rb") as reader:
        assert reader.read() == b"onetwo"


def test_pipe_is_not_read_writer_never_waits_and_all_but_vital_records_are_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    readable, writable = os.pipe()
    output = QueuedOutput(FileOutput(writable, "pipe"), limit=1 << 20)
    first = b"x" * (1 << 20)
    output.write(first)  # more than a pipe holds
    for _ in range(32):
        output.write(b"y" * (1 << 16))
    output.write(b"vital", is_vital=True)
    assert output.dropped >= 16
    received = bytearray()

    def read() -> None:
        with open(readable, "rb") as reader:
            received.extend(reader.read())

    thread = threading.Thread(target=read)
    thread.start()
    output.close()
    thread.join()
    assert received.startswith(first)
    assert received.endswith(b"vital")
    assert len(received) == len(first) + (32 - output.dropped) * (1 << 16) + len(b"vital")
    assert caplog.messages == [
        "pipe is read too slowly: records are dropped",
        f"pipe: {output.dropped} records were dropped",
    ]


def test_pipe_without_reader_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    output = QueuedOutput(FileOutput(writable, "pipe"))
    output.write(b"one")
    output.write(b"two")
    output.close()
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, "pipe: Broken pipe; nothing more is written to it")
    ]


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o600])
def test_file_is_there_it_is_emptied_and_for_its_owner_alone(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "capture"
    path.write_bytes(b"old")
    path.chmod(mode)
    os.close(open_private(str(path)))
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"", 0o600)


def test_pipe_is_there_its_mode_stays(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    path.chmod(0o660)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.close(open_private(str(path)))
    os.close(reader)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_file_must_be_new_and_is_there_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        open_private(str(path), must_be_new=True)
    assert path.read_bytes() == b"old"


def test_record_is_taken_back_the_next_one_stands_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    descriptor = open_private(str(path))
    os.write(descriptor, b"whole, beginning")
    take_back(descriptor, len(", beginning"))
    os.write(descriptor, b"!")
    os.close(descriptor)
    assert path.read_bytes() == b"whole!"
