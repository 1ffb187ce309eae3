"""A capture, and what tshark says of it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.interop.programs import debian_program, version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.compatibility import CompatibilityTable

CHECKED = ["-o", "tcp.check_checksum:TRUE"]


@dataclass(frozen=True, slots=True)
class Capture:
    program: str
    path: Path

    def run(self, *arguments: str) -> str:
        command = [self.program, "-r", str(self.path), *CHECKED, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def fields(self, which: str, *names: str) -> list[list[str]]:
        """A row of fields for each packet that `which` selects."""
        wanted = [part for name in names for part in ("-e", name)]
        return [line.split("\t") for line in self.run("-Y", which, "-T", "fields", *wanted).splitlines()]

    def streams(self) -> list[tuple[bytes, bytes]]:
        """What the host and the phone sent, stream by stream."""
        count = len({number for (number,) in self.fields("tcp", "tcp.stream")})
        return [self._follow(number) for number in range(count)]

    def assert_sound(self) -> None:
        """Nothing is malformed, lost, repeated or out of order, and every checksum is right."""
        suspicions = "_ws.malformed or tcp.analysis.lost_segment or tcp.analysis.retransmission"
        suspicions += " or tcp.analysis.out_of_order or tcp.analysis.ack_lost_segment"
        assert self.fields(suspicions, "frame.number", "_ws.expert.message") == []
        segments = self.fields("tcp", "tcp.checksum.status")
        assert segments
        assert all(status == ["1"] for status in segments)

    def _follow(self, number: int) -> tuple[bytes, bytes]:
        lines = self.run("-q", "-z", f"follow,tcp,raw,{number}").splitlines()
        start = next(index for index, line in enumerate(lines) if line.startswith("Node 1:")) + 1
        data = [line for line in lines[start:] if not line.startswith("=")]
        host, phone = ([line for line in data if line.startswith("\t") is back] for back in (False, True))
        return bytes.fromhex("".join(host)), bytes.fromhex("".join(phone))


def capture_reader(compatibility: CompatibilityTable, writer: str) -> Callable[[Path], Capture]:
    """Notes that tshark reads what `writer` has written, and returns how it is read."""
    tshark = debian_program("tshark")
    compatibility.add(
        "tshark",
        version(tshark, "--version"),
        f"tshark -r FILE, written by {writer}",
        "streams equal to what was transferred; nothing malformed, checksums and windows right",
    )
    return lambda path: Capture(tshark, path)
