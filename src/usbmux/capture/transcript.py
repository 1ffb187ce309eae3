"""What the transfers of a link say: the packets of either side, without judging them. Sans-IO.

The listener is more patient than the session: what cannot be read is told, never raised, and reading goes on at
the next answer to VERSION.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from usbmux.errors import RemoteProtocolError
from usbmux.mux.packet import HEADER_LENGTH, ControlKind, MuxProtocol, Packet, PacketReader, Version
from usbmux.mux.version_search import VersionSearch

MAX_TEXT_LENGTH: Final = 1024
"""Longest text of a phone that is shown, in bytes."""
_SHOWN_BYTES: Final = 32
_VERSION_LENGTH: Final = HEADER_LENGTH[1] + 12


class Direction(Enum):
    """Seen from the host, as USB has it."""

    OUT = "out"
    IN = "in"


@dataclass(frozen=True, slots=True)
class PacketSeen:
    """A packet, whole; its payload is valid until the next transfer."""

    packet: Packet
    framing: int
    """Version of its header, 1 or 2."""

    @property
    def length(self) -> int:
        """In bytes, with the header."""
        return HEADER_LENGTH[self.framing] + len(self.packet.payload)


@dataclass(frozen=True, slots=True)
class BytesSkipped:
    """So many bytes before an answer to VERSION belong to no packet."""

    count: int


@dataclass(frozen=True, slots=True)
class FramingLost:
    """No packets can be cut out of what comes from now on, up to the next answer to VERSION."""

    reason: str


Entry = PacketSeen | BytesSkipped | FramingLost


class Transcript:
    """Reads along with one link, from its beginning."""

    def __init__(self) -> None:
        self._framing = 1
        self._reader = PacketReader()
        self._search: VersionSearch | None = VersionSearch()
        self._untold = 0
        """Number of bytes received that no entry has told of yet."""

    @property
    def framing(self) -> int:
        """Version of the headers now, 1 or 2."""
        return self._framing

    @property
    def untold(self) -> int:
        """Number of bytes received that are in no entry so far."""
        return self._untold

    def send(self, data: bytes) -> Iterator[Entry]:
        """Yield what one bulk OUT transfer says: a packet. The iterator must be exhausted."""
        reader = PacketReader(self._framing)
        try:
            for packet in reader.receive_data(data):
                if packet.protocol == MuxProtocol.VERSION and self._search is None:
                    self._search = VersionSearch()
                yield self._seen(packet)
        except RemoteProtocolError as error:
            yield FramingLost(f"{error} ({shown_bytes(error.data)})")
        else:
            if reader.pending:
                yield FramingLost(f"a transfer with {reader.pending} bytes of an unfinished packet")

    def receive(self, data: bytes | memoryview) -> Iterator[Entry]:
        """Yield what one bulk IN transfer completes. The iterator must be exhausted."""
        self._untold += len(data)
        if self._search is not None:
            found = self._search.receive_data(data)
            if found is None:
                return
            version, data = found
            self._search = None
            if skipped := self._untold - len(data) - _VERSION_LENGTH:
                yield BytesSkipped(skipped)
            self._untold = len(data)
            yield PacketSeen(Packet(MuxProtocol.VERSION, version.encode()), 1)
            self._framing = 2 if version.major == 2 else 1
            self._reader = PacketReader(self._framing)
        try:
            for packet in self._reader.receive_data(data):
                seen = self._seen(packet)
                self._untold -= seen.length
                yield seen
        except RemoteProtocolError as error:
            self._search = VersionSearch()
            yield FramingLost(f"{error} ({shown_bytes(error.data)})")

    def _seen(self, packet: Packet) -> PacketSeen:
        return PacketSeen(packet, 1 if packet.protocol == MuxProtocol.VERSION else self._framing)


def describe(packet: Packet) -> str:
    """What a packet other than TCP says, in words and without control characters."""
    payload = bytes(packet.payload)
    match packet.protocol:
        case MuxProtocol.VERSION:
            try:
                version = Version.decode(payload)
            except RemoteProtocolError as error:
                return f"VERSION: {error}"
            return f"VERSION {version.major}.{version.minor}"
        case MuxProtocol.SETUP:
            return f"SETUP {shown_bytes(payload)}"
        case MuxProtocol.CONTROL if payload:
            kinds: set[int] = set(ControlKind)
            kind = ControlKind(payload[0]).name if payload[0] in kinds else str(payload[0])
            return f"CONTROL {kind}: {shown_text(payload[1:])}"
        case _:
            return f"protocol {packet.protocol}, {len(payload)} bytes: {shown_bytes(payload)}"


def shown_text(text: bytes | memoryview | str) -> str:
    """A phone's words, shortened and without control characters."""
    if not isinstance(text, str):
        text = bytes(text[:MAX_TEXT_LENGTH]).decode(errors="replace")
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_TEXT_LENGTH])


def shown_bytes(data: bytes | memoryview) -> str:
    """The first bytes in hexadecimal."""
    more = " ..." if len(data) > _SHOWN_BYTES else ""
    return bytes(data[:_SHOWN_BYTES]).hex(" ") + more
