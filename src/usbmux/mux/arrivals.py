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

    def pieces_of(self, connection: TcpConnection) -> list[memoryview | bytes]:
        """Where data of a connection is put that is to be reported; for now, and not to be kept."""
        pieces = self._pieces.get(connection)
        if pieces is None:
            self._pieces[connection] = pieces = []
            self.events.append(DataReceived(connection, pieces))
        return pieces

    def add_event(self, event: Event) -> None:
        """Report anything."""
        if isinstance(event, DataReceived):
            self.pieces_of(event.connection).extend(event.pieces)
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
