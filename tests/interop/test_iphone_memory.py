"""What large files cost the virtual iPhone: time, but no memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.interop.programs import pymobiledevice3
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from tests.support.streams import MEBIBYTE

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.interop, pytest.mark.slow]

LENGTH = 64 * MEBIBYTE
MAX_GROWTH = 16 * MEBIBYTE
PROGRAM = Path(__file__).with_name("iphone_process.py")


class Server:
    """The process with the daemon and the phone, and how to bring its phone files."""

    def __init__(self, process: ChildProcess, address: str) -> None:
        self._process = process
        self._environment = clean_environment(USBMUXD_SOCKET_ADDRESS=address)

    def afc(self, *arguments: str) -> None:
        completed = subprocess.run(
            [pymobiledevice3(), "afc", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr

    def forget_peak(self) -> None:
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """The most memory that was in use since, in bytes."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self._process.pid}/status").read_text())
        assert found
        return int(found[1]) << 10


@pytest.fixture
def media(tmp_path: Path) -> Path:
    media = tmp_path / "media"
    media.mkdir()
    return media


@pytest.fixture
def server(media: Path) -> Iterator[Server]:
    if not sys.platform.startswith("linux"):
        pytest.skip("the peak of memory is read from Linux's /proc")
    environment = clean_environment(PYTHONPATH=os.pathsep.join(sys.path))
    with ChildProcess([sys.executable, str(PROGRAM), str(media)], environment=environment) as process:
        address = process.wait_for_line(r"serving at unix:(\S+)")[1]
        yield Server(process, address)


def test_phone_with_large_files_takes_no_more_memory(server: Server, media: Path, tmp_path: Path) -> None:
    small, large, back = (tmp_path / name for name in ("small", "large", "back"))
    small.write_bytes(os.urandom(MEBIBYTE))
    with large.open("wb") as file:
        file.truncate(LENGTH)

    # The first file also loads what is needed for any.
    server.afc("push", str(small), "/small")
    server.afc("pull", "/small", str(back))
    server.forget_peak()
    before = server.peak()
    server.afc("push", str(large), "/large")
    server.afc("pull", "/large", str(back))

    assert (media / "large").stat().st_size == back.stat().st_size == LENGTH
    assert server.peak() - before < MAX_GROWTH
