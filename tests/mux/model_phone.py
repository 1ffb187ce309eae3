"""A tiny phone that trusts nobody: it checks every packet of the host by its own book-keeping."""

from __future__ import annotations

import struct
from collections import deque
from typing import Final

SYN, RST, ACK = 2, 4, 16
VERSION, SETUP, TCP = 0, 2, 6
MODULUS: Final = 2**32
_TCP: Final = struct.Struct(">HHIIBBHHH")


def pattern(start: int, count: int) -> bytes:
    """The bytes `start` to `start + count` of every stream, so that a reader can check them by their position."""
    return bytes((start + index) % 251 for index in range(count))


class PhoneEnd:
    """The phone's end of one connection. All counts are of bytes since the SYN."""

    def __init__(self, port: int, isn: int, capacity: int) -> None:
        self.port = port
        self.isn = isn
        self.host_isn = 0
        self.host_port = 0
        self.capacity = capacity
        self.sent = 0
        self.acknowledged = 0
        self.host_window = 0
        self.received = 0
        self.read = 0
        self.told_received = 0
        """What the host has been told that we received; what is under way to it does not count."""
        self.told_window = 0
        self.is_reset = False

    @property
    def window(self) -> int:
        """In whole units, and 0 rather than less after the application made its buffer smaller."""
        return max(self.capacity - (self.received - self.read), 0) // 256 * 256

    @property
    def room(self) -> int:
        return self.acknowledged + self.host_window - self.sent


class ModelPhone:
    """Version 2 from the handshake on; what it sends waits in `stream` until the test delivers it."""

    def __init__(self) -> None:
        self.ends: dict[int, PhoneEnd] = {}
        self.stream = bytearray(struct.pack(">IIIII", VERSION, 20, 2, 0, 0))
        self._expected_tx_seq = 0
        self._tx_seq = 0
        self._marks: deque[tuple[int, PhoneEnd, int, int]] = deque()
        """Where in the stream a segment ends, and what the host knows once it has read so far."""

    def deliver(self, count: int) -> bytes:
        """Up to `count` bytes for the host."""
        data = bytes(self.stream[:count])
        del self.stream[:count]
        self._marks = deque((at - len(data), *told) for at, *told in self._marks)  # type: ignore[misc]
        while self._marks and self._marks[0][0] <= 0:
            _at, end, received, window = self._marks.popleft()
            if received >= end.told_received:
                end.told_received, end.told_window = received, window
        return data

    # What the application does.

    def write(self, end: PhoneEnd, count: int, cut: int) -> None:
        """Send as much of `count` as fits, in segments of at most `cut` bytes."""
        count = min(count, end.room)
        while count > 0:
            size = min(count, cut)
            self.send(end, ACK, pattern(end.sent, size))
            count -= size

    def send(self, end: PhoneEnd, flags: int, payload: bytes = b"") -> None:
        seq = end.isn if flags & SYN else end.isn + 1 + end.sent
        ack = end.host_isn + 1 + end.received
        header = _TCP.pack(end.port, end.host_port, seq % MODULUS, ack % MODULUS, 0x50, flags, end.window >> 8, 0, 0)
        end.sent += len(payload) if flags == ACK else 0
        length = 16 + len(header) + len(payload)
        self.stream += struct.pack(">IIIHH", TCP, length, 0xFACEFACE, self._tx_seq, 0) + header + payload
        self._tx_seq = (self._tx_seq + 1) % 0x10000
        self._marks.append((len(self.stream), end, end.received, end.window))

    # What the host sends.

    def receive_packet(self, packet: bytes) -> None:
        protocol, length = struct.unpack_from(">II", packet)
        assert length == len(packet)
        if protocol == VERSION:
            assert packet[8:] == struct.pack(">III", 2, 0, 0)
            return
        magic, tx_seq, _rx_seq = struct.unpack_from(">IHH", packet, 8)
        assert (magic, tx_seq) == (0xFEEDFACE, self._expected_tx_seq)
        self._expected_tx_seq = (self._expected_tx_seq + 1) % 0x10000
        if protocol == SETUP:
            assert (tx_seq, packet[16:]) == (0, b"\x07")
        else:
            assert protocol == TCP
            self._receive_segment(packet[16:])

    def _receive_segment(self, data: bytes) -> None:
        host_port, port, seq, ack, offset, flags, window, checksum, urgent = _TCP.unpack_from(data)
        assert (offset, checksum, urgent) == (0x50, 0, 0)
        end, payload = self.ends[port], data[20:]
        assert not end.is_reset, "a segment after RST"
        if flags == SYN:
            assert (seq, ack, payload, end.host_port) == (0, 0, b"", 0)
            end.host_port, end.host_window = host_port, window << 8
            self.send(end, SYN | ACK)
            return
        assert host_port == end.host_port
        assert seq == (end.host_isn + 1 + end.received) % MODULUS
        acknowledged = (ack - end.isn - 1) % MODULUS
        assert end.acknowledged <= acknowledged <= end.sent, "acknowledged what was not sent, or took it back"
        end.acknowledged = acknowledged
        assert window << 8 == end.host_window, "the window is constant"
        if flags == RST:
            end.is_reset = True
            return
        assert flags == ACK
        assert payload == pattern(end.received, len(payload))
        end.received += len(payload)
        assert not payload or end.received <= end.told_received + end.told_window, "beyond the window"
