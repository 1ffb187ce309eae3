"""Phones that misbehave, for a bus on which the others must not notice it."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

from usbmux.mux.packet import ControlKind, MuxProtocol, Version, encode_v1, encode_v2
from usbmux.mux.segment import Flags, Segment
from usbmux.testing import SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from usbmux.usb.pipe import UsbDeviceInfo

BURST = 64
"""Packets that a flooding phone sends in each turn of the loop."""
RUBBISH_LENGTH = 16384
_VERSION_HEADER = struct.pack(">II", MuxProtocol.VERSION, 20)


class FloodingPhone:
    """A `UsbFunction` that answers VERSION or does not, and sends what a generator makes in every turn of the loop.

    Args:
        flood: Makes the transfers, beginning anew with each answer to VERSION.
    """

    max_packet_size = 512

    def __init__(self, udid: str, flood: Callable[[], Iterator[bytes]], *, answers_version: bool = True) -> None:
        self.info: UsbDeviceInfo = SimulatedPhone(udid).info
        self.sent = 0
        """Number of transfers so far."""
        self._make_flood = flood
        self._flood: Iterator[bytes] = iter(())
        self._answers_version = answers_version
        self._send: Callable[[bytes], None] | None = None

    def connected(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._flood = iter(()) if self._answers_version else self._make_flood()

    def bulk_out(self, data: bytes) -> None:
        if data.startswith(_VERSION_HEADER) and self._answers_version and self._send is not None:
            self._send(encode_v1(MuxProtocol.VERSION, Version(2, 0).encode()))
            self._flood = self._make_flood()

    def disconnected(self) -> None:
        self._send = None

    def act(self) -> None:
        """What it does in each turn."""
        if self._send is not None and (transfer := next(self._flood, None)) is not None:
            self.sent += 1
            self._send(transfer)


def rubbish() -> Iterator[bytes]:
    """Bytes that are no packets, or hardly ever."""
    source = random.Random(1)
    while True:
        yield source.randbytes(RUBBISH_LENGTH)


def broken_framing() -> Iterator[bytes]:
    """A packet that is right, and one whose length is impossible."""
    count = 0
    while True:
        text = encode_v2(MuxProtocol.CONTROL, bytes((ControlKind.INFO,)) + b"fine", count, 0)
        yield text + struct.pack(">IIIHH", MuxProtocol.TCP, 3, 0, 0, 0)
        count = (count + 1) % 0x10000


def stray_segments() -> Iterator[bytes]:
    """Packets that are counted as they should be, for connections that do not exist."""
    count = 0
    while True:
        packets = []
        for number in range(BURST):
            segment = Segment(7, 1 + (count + number) % 0xFFFF, count, 1, Flags.ACK, 65536, b"stray")
            packets.append(encode_v2(MuxProtocol.TCP, segment.encode(), (count + number) % 0x10000, 0))
        count += BURST
        yield b"".join(packets)


def chatter() -> Iterator[bytes]:
    """Messages for the log."""
    count = 0
    while True:
        payload = bytes((ControlKind.INFO,)) + b"as I said before"
        yield b"".join(
            encode_v2(MuxProtocol.CONTROL, payload, (count + number) % 0x10000, 0) for number in range(BURST)
        )
        count += BURST
