"""The phone's answer to VERSION, found in whatever else a phone may send first.

A daemon that was killed leaves a phone in the middle of something: the rest of an old packet may come before the
answer, cut anywhere (M8).
"""

import struct
from typing import Final

from usbmux.mux.packet import HEADER_LENGTH, MuxProtocol, Version

_LENGTH: Final = HEADER_LENGTH[1] + 12
_HEADER: Final = struct.pack(">II", MuxProtocol.VERSION, _LENGTH)
_HIGHEST_PLAUSIBLE: Final = 0xFF
"""Of major and minor: what is higher is no version but old data that happens to look like a header."""


class VersionSearch:
    """Looks through the transfers until the answer has come. Keeps less than one packet."""

    def __init__(self) -> None:
        self.skipped = 0
        """Number of bytes that were no part of the answer so far."""
        self._tail = b""

    def receive_data(self, data: bytes | memoryview) -> tuple[Version, bytes] | None:
        """Look at one transfer.

        Returns:
            The version, and what came behind it; or None if it has not come yet.
        """
        buffer = self._tail + data
        start = buffer.find(_HEADER)
        while 0 <= start <= len(buffer) - _LENGTH:
            version = Version.decode(buffer[start + len(_HEADER) :])
            if 1 <= version.major <= _HIGHEST_PLAUSIBLE and version.minor <= _HIGHEST_PLAUSIBLE:
                self.skipped += start
                return version, buffer[start + _LENGTH :]
            start = buffer.find(_HEADER, start + 1)
        self._tail = buffer[-(_LENGTH - 1) :]
        self.skipped += len(buffer) - len(self._tail)
        return None
