"""The system calls of a running program, as strace sees them."""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.process import ChildProcess

if TYPE_CHECKING:
    from pathlib import Path

_CALL = re.compile(r"^\d+ +(\w+)\(")
_LOOK_S = 0.2


class SystemCalls:
    """Writes down the calls of all threads of a process while the block is entered; skips where that cannot be done.

    Args:
        path: Where they are written; removed by nobody.
    """

    def __init__(self, pid: int, path: Path) -> None:
        if (strace := shutil.which("strace")) is None:
            pytest.skip("strace is not installed")
        path.touch()
        self._path = path
        self._process = ChildProcess([strace, "-f", "-o", str(path), "-p", str(pid)])

    def __enter__(self) -> SystemCalls:
        attached = self._process.wait_for_line("attached|not permitted")[0]
        if attached != "attached":
            self._process.stop()
            pytest.skip("strace may not look at processes here")
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.stop()

    @property
    def names(self) -> list[str]:
        """Of the calls that were begun, the oldest first."""
        lines = self._path.read_text().splitlines()
        return [found[1] for line in lines if (found := _CALL.match(line))]

    def wait_silence(self, for_s: float, within_s: float) -> str:
        """Wait until nothing was called for so long.

        Returns:
            What was called last; nothing if there was silence in time.
        """
        began = last_call = time.monotonic()
        known = self._path.read_text()
        while time.monotonic() < last_call + for_s:
            if time.monotonic() > began + within_s:
                return known[-2000:] or "nothing"
            time.sleep(_LOOK_S)
            if (now_known := self._path.read_text()) != known:
                known, last_call = now_known, time.monotonic()
        return ""
