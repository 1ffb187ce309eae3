"""What the transfers of a link say: the packets of either side, without judging them. Sans-IO.

The listener is more patient than the session: what cannot be read is told, never raised, and reading goes on at
the next answer to VERSION.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final

from usbmux.capture.packet_search import PacketSearch
from usbmux.errors import RemoteProtocolError
from usbmux.mux.packet import HEADER_LENGTH, MAGIC, ControlKind, MuxProtocol, Packet, PacketReader, Version
from usbmux.mux.version_search import VersionSearch
from usbmux.values import frozen

MAX_TEXT_LENGTH: Final = 1024
"""Longest text of a phone that is shown, in bytes."""
_SHOWN_BYTES: Final = 32
_VERSION_LENGTH: Final = HEADER_LENGTH[1] + 12
_VERSION_PROTOCOL: Final = MuxProtocol.VERSION.to_bytes(4)
_MAGIC: Final = MAGIC.to_bytes(4)


class Direction(Enum):
    """Seen from the host, as USB has it."""

    OUT = "out"
    IN = "in"


@frozen
class PacketSeen:
    """A packet, whole; its payload is valid until the next transfer."""

    packet: Packet
    framing: int
    """Version of its header, 1 or 2."""

    @property
    def length(self) -> int:
        """In bytes, with the header."""
        return HEADER_LENGTH[self.framing] + len(self.packet.payload)


@frozen
class BytesSkipped:
    """So many bytes before an answer to VERSION belong to no packet."""

    count: int


@frozen
class FramingLost:
    """No packets can be cut out of what comes from now on, up to the next answer to VERSION."""

    reason: str


Entry = PacketSeen | BytesSkipped | FramingLost


class Transcript:
    """Reads along with one link, from its beginning or from anywhere.

    Args:
        is_under_way: The link has begun before: the version of the headers is told by them, and what the phone sends
            is read from the first packet on whose beginning can be told.
    """

    def __init__(self, *, is_under_way: bool = False) -> None:
        self._framing = 1
        self._is_framing_known = not is_under_way
        self._has_heard_version = not is_under_way
        self._reader = PacketReader()
        self._search: VersionSearch | PacketSearch | None = PacketSearch() if is_under_way else VersionSearch()
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
        if not self._is_framing_known:
            self._tell_framing(data)
        reader = PacketReader(self._framing)
        try:
            for packet in reader.receive_data(data):
                if packet.protocol == MuxProtocol.VERSION and not isinstance(self._search, VersionSearch):
                    self._search = VersionSearch()
                yield self._seen(packet)
        except RemoteProtocolError as error:
            yield FramingLost(f"{error} ({shown_bytes(error.data)})")
        else:
            if reader.pending:
                yield FramingLost(f"a transfer with {len(reader.pending)} bytes of an unfinished packet")

    def receive(self, data: bytes | memoryview) -> Iterator[Entry]:
        """Yield what one bulk IN transfer completes. The iterator must be exhausted."""
        self._untold += len(data)
        if isinstance(self._search, PacketSearch):
            beginning = self._search.receive_data(data, self._framing if self._is_framing_known else None)
            if beginning is None:
                return
            framing, data = beginning
            yield from self._skip(len(data))
            self._begin(framing)
            # Joined while the hands were being shaken: the version is not what the first header has.
            self._search = VersionSearch() if data.startswith(_VERSION_PROTOCOL) else None
        if self._search is not None:
            found = self._search.receive_data(data)
            if found is None:
                return
            version, data = found
            self._search = None
            self._has_heard_version = True
            yield from self._skip(len(data) + _VERSION_LENGTH)
            self._untold = len(data)
            yield PacketSeen(Packet(MuxProtocol.VERSION, version.encode()), 1)
            self._begin(2 if version.major == 2 else 1)
        try:
            for packet in self._reader.receive_data(data):
                seen = self._seen(packet)
                self._untold -= seen.length
                yield seen
        except RemoteProtocolError as error:
            # The framing that was guessed, not read, may have been wrong.
            self._search = VersionSearch() if self._has_heard_version else PacketSearch()
            yield FramingLost(f"{error} ({shown_bytes(error.data)})")

    def _skip(self, length: int) -> Iterator[BytesSkipped]:
        """All but so many of the bytes received are in no packet."""
        if skipped := self._untold - length:
            yield BytesSkipped(skipped)
        self._untold = length

    def _begin(self, framing: int) -> None:
        """Packets begin here, with headers of this version."""
        self._framing = framing
        self._is_framing_known = True
        self._reader = PacketReader(framing)

    def _tell_framing(self, packet: bytes) -> None:
        """Learn the version of the headers from a packet of the host, which has our magic in version 2."""
        if not packet.startswith(_VERSION_PROTOCOL):
            self._framing = 2 if packet[8:12] == _MAGIC else 1
            self._is_framing_known = True

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
