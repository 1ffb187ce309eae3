"""AFC packets: requests cut from a host's stream, and what a phone's replies begin with."""

import struct
from enum import IntEnum
from typing import Final

from usbmux.errors import RemoteProtocolError
from usbmux.values import frozen

MAGIC: Final = b"CFA6LPAA"
_HEADER: Final = struct.Struct("<8sQQQQ")
HEADER_LENGTH: Final = _HEADER.size
MAX_ARGUMENTS_LENGTH: Final = 16384
"""Longest arguments of a request (two paths and some numbers) that are kept, in bytes."""
_HANDLE_LENGTH: Final = 8


class Operation(IntEnum):
    """What a packet asks for, or is."""

    STATUS = 0x01
    DATA = 0x02
    READ_DIRECTORY = 0x03
    TRUNCATE = 0x07
    REMOVE = 0x08
    MAKE_DIRECTORY = 0x09
    FILE_INFO = 0x0A
    DEVICE_INFO = 0x0B
    OPEN = 0x0D
    OPEN_RESULT = 0x0E
    READ = 0x0F
    WRITE = 0x10
    SEEK = 0x11
    TELL = 0x12
    TELL_RESULT = 0x13
    CLOSE = 0x14
    SET_SIZE = 0x15
    RENAME = 0x18
    LOCK = 0x1B
    LINK = 0x1C
    SET_MODIFIED = 0x1E
    REMOVE_WITH_CONTENTS = 0x22


class Status(IntEnum):
    """What a status reply says."""

    OK = 0
    UNKNOWN_ERROR = 1
    NO_RESOURCES = 3
    READ_ERROR = 4
    BAD_ARGUMENT = 7
    NOT_FOUND = 8
    IS_DIRECTORY = 9
    DENIED = 10
    UNSUPPORTED = 15
    EXISTS = 16
    NO_SPACE = 18
    WOULD_BLOCK = 19
    IO_ERROR = 20


@frozen
class Request:
    """One packet of a host, its payload still to be taken."""

    packet_number: int
    """Chosen by the host, echoed in the reply."""
    operation: int
    """An `Operation`, or whatever number the host put there."""
    arguments: bytes
    """The handle of a write; of any other operation everything after the header, or nothing if that is too long."""
    payload_length: int
    """Number of bytes that follow the arguments."""


class RequestReader:
    """Cuts a host's stream into requests. What is long passes through, so memory is bounded by what is received.

    Where a host divides its packet into head and payload does not matter.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._payload_left = 0

    @property
    def payload_left(self) -> int:
        """Number of bytes of the last request's payload that were not taken."""
        return self._payload_left

    def receive_data(self, data: bytes | memoryview) -> None:
        """Buffer bytes of the stream."""
        self._buffer += data

    def next_request(self) -> Request | None:
        """The next request, or None while its arguments are incomplete. The payload of the last one comes first.

        Raises:
            RemoteProtocolError: A header that no packet can have; the same again on every later call.
        """
        assert not self._payload_left
        if not MAGIC.startswith(self._buffer[: len(MAGIC)]):  # at once, for less than a header may be all that comes
            raise RemoteProtocolError("no AFC packet", bytes(self._buffer[:HEADER_LENGTH]))
        if len(self._buffer) < HEADER_LENGTH:
            return None
        _magic, entire_length, this_length, packet_number, operation = _HEADER.unpack_from(self._buffer)
        if not HEADER_LENGTH <= this_length <= entire_length:
            raise RemoteProtocolError("an AFC packet of impossible length", bytes(self._buffer[:HEADER_LENGTH]))
        length = entire_length - HEADER_LENGTH
        arguments_length = _arguments_length(operation, length)
        end = HEADER_LENGTH + arguments_length
        if len(self._buffer) < end:
            return None
        arguments = bytes(self._buffer[HEADER_LENGTH:end])
        del self._buffer[:end]
        self._payload_left = length - arguments_length
        return Request(packet_number, operation, arguments, self._payload_left)

    def take_payload(self) -> bytes:
        """Remove and return what is there of the last request's payload."""
        data = bytes(self._buffer[: self._payload_left])
        del self._buffer[: len(data)]
        self._payload_left -= len(data)
        return data


def encode_header(operation: int, packet_number: int, head: bytes = b"", payload_length: int = 0) -> bytes:
    """Header and head of a packet, which `payload_length` bytes are to follow."""
    this_length = HEADER_LENGTH + len(head)
    return _HEADER.pack(MAGIC, this_length + payload_length, this_length, packet_number, operation) + head


def _arguments_length(operation: int, length: int) -> int:
    if operation == Operation.WRITE:
        return min(length, _HANDLE_LENGTH)
    return length if length <= MAX_ARGUMENTS_LENGTH else 0
