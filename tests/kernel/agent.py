"""Runs in the guest: starts programs for the tests and reports what they write and how they end.

A message is four bytes of length and JSON. Requests name a program by `id`, any number of which run at once:
`{"id", "start": [argument, ...]}`, `{"id", "signal": number}` and `{"id", "put": path, "data": base64, "mode"}`.
Answers are `{"id", "output": text}` as it comes, then `{"id", "status": number}`; for a file, that alone.
"""

from __future__ import annotations

import base64
import codecs
import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

CHANNEL = Path("/dev/virtio-ports/agent")
CHANNELS = Path("/sys/class/virtio-ports")
NOT_STARTED = 127


class Agent:
    def __init__(self, channel: BinaryIO) -> None:
        self._channel = channel
        self._answering = threading.Lock()
        self._programs: dict[int, subprocess.Popen[bytes]] = {}

    def serve(self) -> None:
        """Returns when the tests have closed the channel."""
        self.answer({"ready": time.monotonic()})
        while True:
            length = int.from_bytes(self._receive(4), "big")
            match json.loads(self._receive(length)):
                case {"id": int(number), "start": list(arguments)}:
                    self._start(number, arguments)
                case {"id": int(number), "signal": int(signal_number)}:
                    self._signal(number, signal_number)
                case {"id": int(number), "put": str(path), "data": str(data), "mode": int(mode)}:
                    Path(path).write_bytes(base64.b64decode(data))
                    Path(path).chmod(mode)
                    self.answer({"id": number, "status": 0})
                case unknown:
                    raise ValueError(unknown)

    def answer(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        with self._answering:
            self._channel.write(len(data).to_bytes(4, "big") + data)

    def _receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self._channel.read(length - len(data))
            if not part:  # how the kernel says that nobody holds the other end
                raise EOFError
            data += part
        return data

    def _start(self, number: int, arguments: list[str]) -> None:
        try:
            program = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self.answer({"id": number, "output": f"{error}\n"})
            self.answer({"id": number, "status": NOT_STARTED})
            return
        self._programs[number] = program
        threading.Thread(target=self._report, args=(number, program), daemon=True).start()

    def _signal(self, number: int, signal_number: int) -> None:
        program = self._programs.get(number)
        if program is None or program.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal_number)

    def _report(self, number: int, program: subprocess.Popen[bytes]) -> None:
        assert program.stdout is not None
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while data := program.stdout.read(65536):
            self.answer({"id": number, "output": decoder.decode(data)})
        status = program.wait()
        self.answer({"id": number, "status": status})


def open_channel() -> BinaryIO:
    """The port of the virtio console by the name that QEMU gave it; udev may not have made its link yet."""
    while True:
        for port in CHANNELS.glob("*"):
            if (port / "name").read_text().strip() == CHANNEL.name:
                return open(Path("/dev") / port.name, "r+b", buffering=0)
        time.sleep(0.02)  # there is no event to wait for


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with contextlib.suppress(EOFError):
        Agent(open_channel()).serve()
