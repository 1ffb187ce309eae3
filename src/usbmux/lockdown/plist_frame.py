"""Property lists on a stream, as lockdown and most services speak: a length (4 bytes, big-endian), then the list."""

from collections.abc import Mapping
from typing import Final

from usbmux.control.property_list import dump, load
from usbmux.errors import RemoteProtocolError

HEADER_LENGTH: Final = 4
MAX_LENGTH: Final = 1 << 20
"""Longest property list that is read, in bytes, unless somebody says otherwise."""


def encode(properties: Mapping[str, object], *, binary: bool = False) -> bytes:
    """The message for a dictionary, as XML unless told otherwise.

    Raises:
        LocalProtocolError: A value that a property list cannot hold.
    """
    payload = dump(properties, binary=binary)
    return len(payload).to_bytes(HEADER_LENGTH) + payload


class PlistReader:
    """Reads messages to their exact end, however the stream is cut; what follows a message may be something else.

    Args:
        max_length: Longest property list that is accepted, in bytes.
    """

    def __init__(self, max_length: int = MAX_LENGTH) -> None:
        self._max_length = max_length
        self._buffer = bytearray()
        self._end = HEADER_LENGTH

    @property
    def bytes_needed(self) -> int:
        """How many bytes to read next, at most; never more than belongs to this message."""
        return self._end - len(self._buffer)

    @property
    def is_idle(self) -> bool:
        """Whether nothing of the next message has come, so that the stream may end."""
        return not self._buffer

    def receive_data(self, data: bytes) -> Mapping[object, object] | None:
        """Take at most `bytes_needed` bytes; the message, if they complete it.

        Values may be of any type, see `usbmux.control.property_list.load`.

        Raises:
            RemoteProtocolError: The length is 0 or too great, or it is no property list, or no dictionary.
        """
        assert len(data) <= self.bytes_needed
        self._buffer += data
        if self._end == HEADER_LENGTH and not self.bytes_needed:
            self._read_length()
        if self._end == HEADER_LENGTH or self.bytes_needed:
            return None
        payload = bytes(self._buffer[HEADER_LENGTH:])
        self._buffer.clear()
        self._end = HEADER_LENGTH
        return load(payload)

    def _read_length(self) -> None:
        length = int.from_bytes(self._buffer)
        if not 0 < length <= self._max_length:
            raise RemoteProtocolError(f"a property list of {length} bytes", bytes(self._buffer))
        self._end = HEADER_LENGTH + length
