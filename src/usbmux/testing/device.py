"""The phone's side of the mux: bulk transfers in, packets out, and a check of everything that comes.

Sans-IO, and written without a look at the host's side. What the host must keep (M rules of docs/protocol/mux.md):

- A transfer, ended by a short or empty USB packet, is exactly one mux packet of at most 65535 bytes.
- VERSION 2.0 comes first, always behind a version 1 header. It restarts everything at any time.
- A phone of version 2 then gets SETUP once: tx_seq 0, rx_seq 0xffff, one byte 0x07. One of version 1 gets none.
- Headers have the negotiated form, and in version 2 the magic 0xfeedface and a tx_seq that counts packets.
- After that there is nothing but TCP.

A strict phone that saw one of these rules broken stops answering until the next VERSION; rules of a
connection (see `DeviceConnection`) cost only the connection.
"""

import struct
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from usbmux.errors import RemoteProtocolError
from usbmux.mux.packet import (
    FIRST_RX_SEQ,
    SETUP_PAYLOAD,
    ControlKind,
    MuxProtocol,
    Version,
    encode_v1,
    encode_v2,
)
from usbmux.mux.segment import Flags, Segment, seq_add
from usbmux.testing.device_connection import ConnectionState, DeviceConnection
from usbmux.testing.options import PhoneOptions
from usbmux.values import frozen

MAX_TRANSFER_LENGTH: Final = 65535
"""Longest message that a phone takes from the host, in bytes."""
_HOST_MAGIC: Final = 0xFEEDFACE
_HEADER_V1: Final = struct.Struct(">II")
_HEADER_V2: Final = struct.Struct(">IIIHH")
_VERSION_LENGTH: Final = 20
_RST: Final = Flags.RST.value  # a plain number, because operations on members of Flags are slow


class MuxState(Enum):
    """Where the handshake is."""

    WAITING_VERSION = auto()
    WAITING_SETUP = auto()
    RUNNING = auto()
    SILENT = auto()
    """A strict phone after broken framing: only VERSION helps."""


_EDGES: Final = {
    MuxState.WAITING_VERSION: {MuxState.WAITING_SETUP, MuxState.RUNNING, MuxState.SILENT},
    MuxState.WAITING_SETUP: {MuxState.RUNNING, MuxState.SILENT, MuxState.WAITING_VERSION},
    MuxState.RUNNING: {MuxState.SILENT, MuxState.WAITING_VERSION},
    MuxState.SILENT: {MuxState.WAITING_VERSION},
}


@frozen
class ConnectionRequested:
    """The host sent a SYN to an open port; `DeviceConnection.accept` or `reset` answers it."""

    connection: DeviceConnection


@frozen
class ConnectionProgressed:
    """A segment changed what can be read, what may be written, or the state."""

    connection: DeviceConnection


DeviceEvent = ConnectionRequested | ConnectionProgressed


class DeviceMux:
    """The mux of one phone, from plugging to unplugging.

    Args:
        is_open: Tells whether something listens on a port.
        version: The major version that it answers VERSION with; 1 and 2 can be spoken.
        strict: Whether a broken rule has consequences; it is recorded in either case.
        violations: Where broken rules are recorded, in words.
    """

    def __init__(
        self,
        is_open: Callable[[int], bool],
        *,
        version: int,
        options: PhoneOptions,
        strict: bool,
        violations: list[str],
    ) -> None:
        self._is_open = is_open
        self._version = version
        self._options = options
        self._strict = strict
        self._violations = violations
        self._state = MuxState.WAITING_VERSION
        self._framing = 1
        self._pieces: list[bytes] = []
        self._transfer_length = 0
        self._tx_seq = 0
        self._host_tx_seq = FIRST_RX_SEQ
        self._connections: dict[tuple[int, int], DeviceConnection] = {}
        self._packets: list[bytes] = []
        self._events: deque[DeviceEvent] = deque()

    @property
    def state(self) -> MuxState:
        """Where the handshake is."""
        return self._state

    def receive_data(self, data: bytes) -> None:
        """Take the data of one host request; it ends a transfer when its last USB packet is short."""
        was_too_large = self._transfer_length > MAX_TRANSFER_LENGTH
        self._transfer_length += len(data)
        is_too_large = self._transfer_length > MAX_TRANSFER_LENGTH
        if is_too_large:
            self._pieces.clear()
            if not was_too_large:
                self._refuse_transfer(self._transfer_length)
        elif data:
            self._pieces.append(data)
        if not data or len(data) % self._options.max_packet_size:
            transfer = b"".join(self._pieces)
            self._pieces.clear()
            self._transfer_length = 0
            if not is_too_large:
                self._receive_transfer(transfer)

    def next_event(self) -> DeviceEvent | None:
        """The oldest event not taken yet."""
        return self._events.popleft() if self._events else None

    def take_packets(self) -> list[bytes]:
        """The packets for the host that were not taken yet, in order."""
        packets, self._packets = self._packets, []
        return packets

    def send_control(self, kind: ControlKind, text: str) -> None:
        """Send a CONTROL packet."""
        self._send(MuxProtocol.CONTROL, bytes((kind,)) + text.encode())

    def lose_connections(self) -> None:
        """End every connection as if the host had reset it: it is gone, or starts anew."""
        connections = list(self._connections.values())
        self._connections.clear()
        for connection in connections:
            connection.lose()
            self._events.append(ConnectionProgressed(connection))

    def _set_state(self, state: MuxState) -> None:
        if state is not self._state:
            assert state in _EDGES[self._state], f"{self._state} -> {state}"
            self._state = state

    def _break_framing(self, violation: str) -> None:
        self._violations.append(violation)
        if self._strict:
            self._set_state(MuxState.SILENT)

    def _refuse_transfer(self, length: int) -> None:
        if self._state is MuxState.SILENT:
            return
        text = f"asyncReadComplete, message was too large ({length} bytes, max = {MAX_TRANSFER_LENGTH})"
        self.send_control(ControlKind.ERROR, text)
        self._break_framing(text)

    def _receive_transfer(self, transfer: bytes) -> None:
        protocol, length = _HEADER_V1.unpack_from(transfer) if len(transfer) >= _HEADER_V1.size else (-1, -1)
        if protocol == MuxProtocol.VERSION and length == len(transfer) == _VERSION_LENGTH:
            self._receive_version(transfer)
        elif self._state is MuxState.SILENT:
            return
        elif length != len(transfer):
            expected = "a packet" if length < 0 else f"one packet of {length} bytes"
            self._break_framing(f"transfer: expected {expected}, received {len(transfer)} bytes")
        elif self._state is MuxState.WAITING_VERSION or protocol == MuxProtocol.VERSION:
            self._break_framing(f"handshake: expected VERSION of {_VERSION_LENGTH} bytes, received {transfer[:24]!r}")
        elif self._framing == 2:
            self._receive_v2(protocol, transfer)
        else:
            self._receive_payload(protocol, memoryview(transfer)[_HEADER_V1.size :])

    def _receive_version(self, transfer: bytes) -> None:
        self.lose_connections()
        self._set_state(MuxState.WAITING_VERSION)
        self._framing = 1
        self._tx_seq = 0
        self._host_tx_seq = FIRST_RX_SEQ
        version = Version.decode(memoryview(transfer)[_HEADER_V1.size :])
        if version != Version(2, 0):
            self._break_framing(f"VERSION: expected 2.0, received {version.major}.{version.minor}")
        if not self._options.answer_version or self._state is MuxState.SILENT:
            return
        self._packets.append(encode_v1(MuxProtocol.VERSION, Version(self._version, 0).encode()))
        if self._version == 1:
            self._start_running()
        elif self._version == 2:
            self._framing = 2
            self._set_state(MuxState.WAITING_SETUP)

    def _start_running(self) -> None:
        self._set_state(MuxState.RUNNING)
        for kind, text in self._options.control_texts:
            self.send_control(kind, text)

    def _receive_v2(self, protocol: int, transfer: bytes) -> None:
        if len(transfer) < _HEADER_V2.size:
            self._break_framing(f"header: expected {_HEADER_V2.size} bytes, received {len(transfer)}")
            return
        _protocol, _length, magic, tx_seq, rx_seq = _HEADER_V2.unpack_from(transfer)
        payload = memoryview(transfer)[_HEADER_V2.size :]
        expected_tx_seq = (self._host_tx_seq + 1) & 0xFFFF
        self._host_tx_seq = tx_seq
        if magic != _HOST_MAGIC:
            self._break_framing(f"magic: expected {_HOST_MAGIC:#x}, received {magic:#x}")
        elif tx_seq != expected_tx_seq:
            self._break_framing(f"tx_seq: expected {expected_tx_seq}, received {tx_seq}")
        elif self._state is MuxState.WAITING_SETUP:
            self._check_setup(protocol, rx_seq, payload)
        if self._state is MuxState.WAITING_SETUP:
            self._start_running()
        elif self._state is MuxState.RUNNING:
            self._receive_payload(protocol, payload)

    def _check_setup(self, protocol: int, rx_seq: int, payload: memoryview) -> None:
        if protocol != MuxProtocol.SETUP:
            self._break_framing(f"protocol: expected SETUP, received {protocol}")
        elif rx_seq != FIRST_RX_SEQ:
            self._break_framing(f"rx_seq of SETUP: expected {FIRST_RX_SEQ:#x}, received {rx_seq:#x}")
        elif bytes(payload) != SETUP_PAYLOAD:
            self._break_framing(f"payload of SETUP: expected {SETUP_PAYLOAD!r}, received {bytes(payload)!r}")

    def _receive_payload(self, protocol: int, payload: memoryview) -> None:
        if protocol != MuxProtocol.TCP:
            self._break_framing(f"protocol: expected TCP, received {protocol}")
            return
        try:
            segment = Segment.decode(payload)
        except RemoteProtocolError as error:
            self._break_framing(f"segment: {error}")
            return
        self._receive_segment(segment)

    def _receive_segment(self, segment: Segment) -> None:
        key = segment.source_port, segment.destination_port
        connection = self._connections.get(key)
        if connection is None:
            self._receive_stray(segment)
            return
        connection.receive_segment(segment)
        if connection.state is ConnectionState.CLOSED:
            self._connections.pop(key, None)
        self._events.append(ConnectionProgressed(connection))

    def _receive_stray(self, segment: Segment) -> None:
        # Its RST and ours may have crossed its data, so only what can never be right is a violation.
        if segment.flags == Flags.SYN:
            self._receive_syn(segment)
        elif not segment.flags & _RST:
            if segment.flags != Flags.ACK:
                self._violations.append(f"flags: expected SYN, received {Flags(segment.flags)!r}: {segment}")
            self._refuse(segment, b"no such connection")

    def _receive_syn(self, syn: Segment) -> None:
        if syn.payload:
            self._violations.append(f"SYN: expected no payload, received {len(syn.payload)} bytes: {syn}")
            if self._strict:
                self._refuse(syn, b"unexpected payload")
                return
        if not self._options.answer_syn:
            return
        if not self._is_open(syn.destination_port):
            self._refuse(syn, b"connection refused")
            return
        connection = DeviceConnection(
            syn, self._options, strict=self._strict, emit=self._send_segment, report=self._violations.append
        )
        self._connections[syn.source_port, syn.destination_port] = connection
        self._events.append(ConnectionRequested(connection))

    def _refuse(self, segment: Segment, text: bytes) -> None:
        ack = seq_add(segment.seq, len(segment.payload) + bool(segment.flags & Flags.SYN))
        source, destination = segment.destination_port, segment.source_port
        self._send_segment(Segment(source, destination, segment.ack, ack, Flags.RST, 0, text))

    def _send_segment(self, segment: Segment) -> None:
        if segment.flags & _RST:
            self._connections.pop((segment.destination_port, segment.source_port), None)
        sent = segment if self._options.tamper is None else self._options.tamper(segment)
        if sent is not None:
            self._send(MuxProtocol.TCP, sent.encode())

    def _send(self, protocol: MuxProtocol, payload: bytes) -> None:
        if self._state is MuxState.SILENT:
            return
        if self._framing == 1:
            self._packets.append(encode_v1(protocol, payload))
            return
        self._packets.append(encode_v2(protocol, payload, self._tx_seq, self._host_tx_seq, self._options.magic))
        self._tx_seq = (self._tx_seq + 1) & 0xFFFF
