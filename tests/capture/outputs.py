"""Outputs and links for the tests of traces."""

from __future__ import annotations

from usbmux.usb.pipe import UsbDeviceInfo

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
