"""The host's end of the channel to the agent in the guest, and the programs that it runs there."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import queue
import re
import signal
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

STOP_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    output: str


class GuestProgram:
    """A program in the guest; its standard output and error are one stream of lines."""

    def __init__(self, channel: AgentChannel, number: int, arguments: list[str]) -> None:
        self._channel = channel
        self._number = number
        self._arguments = arguments
        self._heard: queue.SimpleQueue[str | int | None] = queue.SimpleQueue()
        self._unread = ""
        self._status: int | None = None
        self.output = ""
        """All that it has written up to the last awaited line; all of it after its end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def wait_for_line(self, pattern: str, within_s: float = 60.0) -> re.Match[str]:
        """The first line not yet looked at in which `pattern` is found; AssertionError if none comes in time."""
        deadline = time.monotonic() + within_s
        while (line := self._next_line(deadline)) is not None:
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{self._arguments} wrote no line with {pattern!r}, but:\n{self.output}")

    def wait_for_lines(self, patterns: Iterable[str], within_s: float = 60.0) -> dict[str, str]:
        """For each pattern the first line in which it is found, in any order, of those not yet looked at."""
        deadline = time.monotonic() + within_s
        missing = set(patterns)
        found: dict[str, str] = {}
        while missing:
            line = self._next_line(deadline)
            if line is None:
                raise AssertionError(f"not seen in {within_s:g} s: {sorted(missing)}; but:\n{self.output}")
            found |= {pattern: line for pattern in missing if re.search(pattern, line)}
            missing -= found.keys()
        return found

    def wait(self, within_s: float = 60.0) -> int:
        """The exit status, once the program has ended; what it wrote is in `output`. AssertionError if it does not."""
        deadline = time.monotonic() + within_s
        while self._status is None:
            if not self._hear(deadline):
                raise AssertionError(f"{self._arguments} runs on after {within_s} s; it wrote:\n{self._take_output()}")
        self._take_output()
        return self._status

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the program and all that it started; none if it has ended."""
        self._channel.send({"id": self._number, "signal": int(number)})

    def stop(self) -> int:
        """Ends it by SIGTERM and at need by SIGKILL. Returns its exit status."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(STOP_WITHIN_S)
        except AssertionError:
            self.signal(signal.SIGKILL)
            self.wait(STOP_WITHIN_S)
            raise

    def hear(self, message: str | int | None) -> None:
        """Takes output, the status, or None when the guest is gone. Called in the channel's thread."""
        self._heard.put(message)

    def _next_line(self, deadline: float) -> str | None:
        """None: none came in time, or none will come any more."""
        while (line_end := self._unread.find("\n") + 1) == 0:
            if not self._hear(deadline):
                return None
        line, self._unread = self._unread[:line_end], self._unread[line_end:]
        self.output += line
        return line

    def _hear(self, deadline: float) -> bool:
        """Waits for one message. False: none came in time, or none will come any more."""
        if self._status is not None:
            return False
        with contextlib.suppress(queue.Empty):
            match self._heard.get(timeout=max(0.0, deadline - time.monotonic())):
                case str(text):
                    self._unread += text
                    return True
                case int(status):
                    self._status = status
                    return True
                case None:
                    pass
        return False

    def _take_output(self) -> str:
        self.output += self._unread
        self._unread = ""
        return self.output


class AgentChannel:
    """Speaks to the agent: many programs over one connection. `agent.py` says how."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._programs: dict[int, GuestProgram] = {}
        self._sending = threading.Lock()
        self._ready = threading.Event()
        self._is_lost = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_ready(self, within_s: float) -> bool:
        """Whether the guest has booted so far that programs can be started."""
        return self._ready.wait(within_s) and not self._is_lost

    def start(self, arguments: list[str]) -> GuestProgram:
        program = self._program(arguments)
        self.send({"id": program._number, "start": arguments})
        return program

    def put(self, path: str, data: bytes, mode: int) -> GuestProgram:
        """Writes a file; what is returned ends when it is written."""
        program = self._program(["put", path])
        self.send({"id": program._number, "put": path, "data": base64.b64encode(data).decode(), "mode": mode})
        return program

    def send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        with self._sending:
            self._connection.sendall(len(data).to_bytes(4, "big") + data)

    def close(self) -> None:
        """Ends the channel, and with it the guest."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._reader.join(STOP_WITHIN_S)
        self._connection.close()

    def _program(self, arguments: list[str]) -> GuestProgram:
        number = next(self._numbers)
        self._programs[number] = GuestProgram(self, number, arguments)
        return self._programs[number]

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._connection.makefile("rb") as stream:
            while len(header := stream.read(4)) == 4:
                self._take(json.loads(stream.read(int.from_bytes(header, "big"))))
        self._is_lost = True
        self._ready.set()
        for program in list(self._programs.values()):
            program.hear(None)

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"ready": _}:
                self._ready.set()
            case {"id": int(number), "output": str(text)}:
                self._programs[number].hear(text)
            case {"id": int(number), "status": int(status)}:
                self._programs[number].hear(status)
            case unknown:
                raise ValueError(unknown)
