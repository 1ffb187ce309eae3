"""Programs that a test starts: their output is read line by line, and they end with the test."""

from __future__ import annotations

import contextlib
import os
import pty
import queue
import re
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 10.0


class ChildProcess:
    """A program in a process group of its own; its standard output and error are one stream of lines.

    On a terminal, programs of the C library write their lines at once instead of when a buffer is full.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        on_terminal: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.arguments = list(arguments)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._seen: list[str] = []
        readable, writable = pty.openpty() if on_terminal else os.pipe()
        self._process = subprocess.Popen(
            self.arguments,
            stdin=subprocess.DEVNULL,
            stdout=writable,
            stderr=writable,
            env=environment,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        os.close(writable)
        self._reader = threading.Thread(target=self._read_lines, args=(readable,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        """All that the program has written up to the last awaited line; all of it after `stop`."""
        return "".join(self._seen)

    def wait_for_line(self, pattern: str, within_s: float = READY_WITHIN_S) -> re.Match[str]:
        """The first line not yet looked at in which `pattern` is found; AssertionError if none comes in time."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"{self.arguments} wrote no line with {pattern!r}, but:\n{self.output}"
            self._seen.append(line)
            if found := re.search(pattern, line):
                return found

    def wait(self, within_s: float = STOP_WITHIN_S) -> int:
        """The exit status, once the program has ended by itself."""
        status = self._process.wait(within_s)
        self._take_rest()
        return status

    def stop(self) -> int:
        """Ends the program and what it started, by SIGTERM and at need by SIGKILL. Returns its exit status."""
        try:
            self._signal(signal.SIGTERM)
            status = self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        finally:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._take_rest()
        return status

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # the whole group has ended
            os.killpg(self._process.pid, number)

    def _read_lines(self, readable: int) -> None:
        with open(readable, "rb", buffering=0) as stream:
            rest = b""
            while True:
                try:
                    data = stream.read(65536)
                except OSError:  # how a terminal says that nobody holds its other end
                    data = b""
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._lines.put(line.decode(errors="replace").rstrip("\r") + "\n")
            if rest:
                self._lines.put(rest.decode(errors="replace"))
        self._lines.put(None)

    def _take_rest(self) -> None:
        self._reader.join(STOP_WITHIN_S)
        while not self._lines.empty():
            if (line := self._lines.get()) is not None:
                self._seen.append(line)
