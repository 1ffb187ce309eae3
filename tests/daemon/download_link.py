"""A link over which a stream comes from a phone, calculated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usbmux.mux.connection import TcpConnection
from usbmux.mux.settings import MuxSettings

if TYPE_CHECKING:
    from tests.daemon.sleeping_clock import Clock
    from usbmux.daemon.moderation import Moderation

WINDOW: Final = 131_072
_CLIENT_RATE: Final = 3e9


def stream_to_phone(window: int = WINDOW) -> TcpConnection:
    return TcpConnection(1, 7, MuxSettings(receive_window=window), lambda _event: None, 0.0)


class Link:
    """A phone that sends packets as fast as its bus, its reads and its window allow, and a loop that takes them.

    The client reads `_CLIENT_RATE` out of a socket that holds so many bytes.
    """

    def __init__(
        self,
        moderation: Moderation | None,
        clock: Clock,
        *,
        rate: float,
        packet: int,
        reads: int,
        connections: int = 1,
        window: int = WINDOW,
        socket: int = 1 << 30,
    ) -> None:
        self.turns = self.moved = 0
        self._moderation = moderation
        self._clock = clock
        self._takes_s = packet / rate
        self._packet = packet
        self._most = min(reads, connections * (window // packet))
        self._streams = [stream_to_phone(window) for _ in range(connections)]
        self._socket = socket
        self._in_socket = 0.0
        self._in_socket_at = clock.now
        self._held = 0
        self._connections = connections
        self._reads = reads
        self._done = 0
        self._next = clock.now + self._takes_s

    def run(self, seconds: float, *, turn_s: float = 50e-6, packet_s: float = 5e-6) -> float:
        """Returns: bytes per second."""
        begin, before = self._clock.now, self.moved
        while self._clock.now < begin + seconds:
            self._turn(turn_s, packet_s)
        return (self.moved - before) / (self._clock.now - begin)

    def _turn(self, turn_s: float, packet_s: float) -> None:
        if self._moderation is not None:
            self._moderation.pause()
        self._arrive()
        if not self._done and self._held == self._most:
            self._clock.now += max(self._in_socket - self._socket / 4, 0) / _CLIENT_RATE
        elif not self._done:
            self._clock.now = max(self._next, self._clock.now)
            self._arrive()
        count, came_at = self._done, self._clock.now
        self._clock.now += turn_s + count * packet_s
        self._arrive()
        was_full = self._done + self._held == self._most
        self._done -= count
        was_behind = self._held > 0
        taken = self._take(count)
        self.moved += taken * self._packet
        self.turns += 1
        if was_full and taken:
            self._next = self._clock.now + self._takes_s
        if self._moderation is None:
            return
        if was_behind and count:
            self._moderation.client_fell_behind()
        else:
            for index in range(min(count, self._connections)):
                packets = count // self._connections + (index < count % self._connections)
                self._moderation.came(self._streams[index], packets * self._packet, self._packet, came_at)
        if 2 * count >= self._reads:
            self._moderation.ran_low()

    def _take(self, count: int) -> int:
        """So many packets more for the client. Returns: how many its socket has taken."""
        now = self._clock.now
        self._in_socket = max(self._in_socket - (now - self._in_socket_at) * _CLIENT_RATE, 0)
        self._in_socket_at = now
        taken = min(self._held + count, int(self._socket - self._in_socket) // self._packet)
        self._held += count - taken
        self._in_socket += taken * self._packet
        return taken

    def _arrive(self) -> None:
        while self._done + self._held < self._most and self._next <= self._clock.now:
            self._done += 1
            self._next += self._takes_s
