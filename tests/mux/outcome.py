"""What comes of transfers, so that two sessions can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usbmux.mux.events import (
    ConnectionClosed,
    ConnectionEstablished,
    DataReceived,
    Event,
    ResynchronisationBegun,
    SendRoomOpened,
    SessionFailed,
)

if TYPE_CHECKING:
    from tests.mux.wire import Wire


class Outcome:
    """What came of some transfers. How often data was reported is not compared."""

    def __init__(self, wire: Wire) -> None:
        self.events: list[str] = []
        self.streams: dict[int, bytes] = {}
        self.packets: list[bytes] = []
        self._wire = wire

    def note_events(self) -> None:
        """Take what the session has to report."""
        while (event := self._wire.session.next_event()) is not None:
            if isinstance(event, DataReceived):
                port = event.connection.local_port
                self.streams[port] = self.streams.get(port, b"") + b"".join(event.pieces)
            else:
                self.events.append(_shown(event))
                if isinstance(event, ConnectionClosed):
                    self.events.append(f"after {len(self.streams.get(event.connection.local_port, b''))} bytes")

    def note_packet(self) -> None:
        """Take one packet that the session has to send."""
        if (packet := self._wire.session.packet_to_send(self._wire.now)) is not None:
            self.packets.append(bytes(packet))

    def note_packets(self) -> None:
        """Take what the session has to send."""
        while (packet := self._wire.session.packet_to_send(self._wire.now)) is not None:
            self.packets.append(bytes(packet))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and self._all() == other._all()

    def __hash__(self) -> int:
        raise NotImplementedError

    def __repr__(self) -> str:
        return repr(self._all())

    def _all(self) -> tuple[object, ...]:
        return self.events, self.streams, self.packets


def _shown(event: Event) -> str:
    """The event without what differs between two sessions."""
    match event:
        case ConnectionEstablished(connection) | SendRoomOpened(connection):
            return f"{type(event).__name__} {connection.local_port}"
        case ConnectionClosed(connection, cause, text):
            return f"{cause} {connection.local_port} {_without_dump(text)}"
        case SessionFailed(reason) | ResynchronisationBegun(reason):
            return _without_dump(reason)
        case _:
            return str(event)


def _without_dump(reason: str) -> str:
    """The bytes that are shown after a bad length are those that had come until then."""
    return reason.partition(" (")[0] if "impossible length" in reason else reason
