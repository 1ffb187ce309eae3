"""What a session reports, and the data of segments among it, of which there is much."""

from collections import deque
from typing import Final

from usbmux.mux.connection import TcpConnection
from usbmux.mux.events import DataReceived, Event


class Arrivals:
    """A queue of events in which data of one connection is one event, as long as nobody has taken it."""

    __slots__ = ("_pieces", "events")

    def __init__(self) -> None:
        self.events: Final[deque[Event]] = deque()
        """Those that wait; to be taken by `next` only."""
        self._pieces: dict[TcpConnection, list[memoryview | bytes]] = {}
        """Of the data events that wait."""

    def add(self, connection: TcpConnection, data: memoryview | bytes) -> None:
        """Report data of a connection."""
        pieces = self._pieces.get(connection)
        if pieces is None:
            self._pieces[connection] = pieces = []
            self.events.append(DataReceived(connection, pieces))
        pieces.append(data)

    def add_event(self, event: Event) -> None:
        """Report anything."""
        if isinstance(event, DataReceived):
            for piece in event.pieces:
                self.add(event.connection, piece)
        else:
            self.events.append(event)

    def next(self) -> Event | None:
        """Remove and return the oldest."""
        if not self.events:
            return None
        event = self.events.popleft()
        if isinstance(event, DataReceived):
            del self._pieces[event.connection]
        return event
