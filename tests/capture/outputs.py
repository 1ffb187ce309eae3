"""Outputs, and links on which the same happens in each form of a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usbmux.mux.packet import ControlKind, MuxProtocol, Version, encode_v1, encode_v2
from usbmux.mux.segment import Flags, Segment
from usbmux.usb.pipe import UsbDeviceInfo

if TYPE_CHECKING:
    from usbmux.capture.trace_hub import TraceSink

OFFER = encode_v1(MuxProtocol.VERSION, Version(2, 0).encode())
SYN = Segment(1, 7, 0, 0, Flags.SYN, 131072).encode()
INFO = UsbDeviceInfo("00008030-001A2B3C4D5E6F01", 0x12A8, 0x10001, 480_000_000, "1-1")
START_NS = 1_795_328_767_000_000_000


class MemoryOutput:
    """Keeps the records; the last one may be wanted alone."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.is_full = False
        """Then it takes only what is vital."""

    @property
    def data(self) -> bytes:
        return b"".join(self.records)

    def write(self, record: bytes, *, is_vital: bool = False) -> bool:
        if self.is_full and not is_vital:
            return False
        self.records.append(record)
        return True

    def close(self) -> None:
        pass


def use_version_2(sink: TraceSink) -> None:
    """A link with one of everything that a whole link may have."""
    link = sink.link_opened(INFO, START_NS + 5_999)
    assert link is not None
    link.sent(OFFER, START_NS)
    link.received(OFFER, START_NS)
    link.sent(encode_v2(MuxProtocol.TCP, SYN, 1, 0xFFFF), START_NS)
    refusal = Segment(7, 1, 4_294_967_295, 1, Flags.RST | Flags.ACK, 0, b"no\n").encode()
    link.received(encode_v2(MuxProtocol.TCP, refusal, 0, 1), START_NS)
    link.received(encode_v2(MuxProtocol.CONTROL, bytes([ControlKind.WARNING]) + b"hm\nhm", 1, 1), START_NS)
    link.received(b"\0", START_NS)
    link.ended("1-1 (05ac:12a8)\nwas unplugged", START_NS)


def use_version_1(sink: TraceSink) -> None:
    """Bytes to pass over, an offer, a segment, one that cannot be read, and no packet any more."""
    link = sink.link_opened(INFO, START_NS)
    assert link is not None
    link.received(b"\xff" + encode_v1(MuxProtocol.VERSION, Version(1, 0).encode()), START_NS)
    link.sent(encode_v1(MuxProtocol.TCP, SYN), START_NS)
    link.received(encode_v1(MuxProtocol.TCP, b"short"), START_NS)
    link.received(b"\xff" * 8, START_NS)


def use_while_full(sink: TraceSink, output: MemoryOutput) -> None:
    """Two packets for which there is no room, one for which there is, and an end without room."""
    link = sink.link_opened(INFO, START_NS)
    assert link is not None
    output.is_full = True
    link.sent(OFFER, START_NS)
    link.sent(OFFER, START_NS)
    output.is_full = False
    link.received(OFFER, START_NS)
    output.is_full = True
    link.ended("unplugged", START_NS)
    sink.trace_ended(START_NS)
