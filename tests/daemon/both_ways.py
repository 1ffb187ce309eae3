"""A stream in both directions of one connection, calculated: a phone, its bus, and a loop in between."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tests.daemon.download_link import stream_to_phone
from usbmux.usb.spare_memory import SpareMemory
from usbmux.usb.write_limit import WriteLimit

if TYPE_CHECKING:
    from tests.daemon.sleeping_clock import Clock
    from usbmux.daemon.moderation import Moderation

_PHONE_WINDOW = 131_072
_LONGEST = 49_112
_LEAST = 49_152


class BothWays:
    """A client that takes what comes and always has more, and a phone that does so too, each as far as windows allow.

    What the phone acknowledges is what had come when its packet began; if it may not send, it acknowledges at once. It
    hears of what we have taken behind what was in flight to it then.

    Args:
        up: Bytes per second that go to the phone.
        down: Those that come.
        packet: Bytes in each of the phone's packets.
        window: Ours.
    """

    def __init__(
        self, moderation: Moderation | None, clock: Clock, *, up: float, down: float, packet: int, window: int
    ) -> None:
        self.turns = self.uploaded = self.downloaded = 0
        self._moderation = moderation
        self._clock = clock
        self._up = up
        self._down = down
        self._packet = packet
        self._window = window
        self._stream = stream_to_phone(window)
        self._limit = WriteLimit(SpareMemory(), least=_LEAST, most=4 * _LEAST, step=_LEAST // 2, now=clock)
        self._was_full = False
        self._writes: deque[int] = deque()
        self._begun_at = clock.now
        """When the first of them began to go out."""
        self._gone = self._acknowledged = 0
        self._packets: deque[tuple[float, int]] = deque()
        """When each packet that was not taken ends, and what it acknowledges; at most the last is still coming."""
        self._free_at = clock.now
        """When the phone may begin the next, as far as the bus is concerned."""
        self._untold = 0
        """Bytes that the phone has sent and not heard of."""
        self._news: deque[tuple[float, int]] = deque()
        """When it hears of how many."""

    def run(self, seconds: float, *, turn_s: float, packet_s: float) -> tuple[float, float]:
        """Returns: bytes per second to the phone and from it."""
        begin, up, down = self._clock.now, self.uploaded, self.downloaded
        while self._clock.now < begin + seconds:
            self._turn(turn_s, packet_s)
        elapsed = self._clock.now - begin
        return (self.uploaded - up) / elapsed, (self.downloaded - down) / elapsed

    def _turn(self, turn_s: float, packet_s: float) -> None:
        if self._moderation is not None:
            self._moderation.pause()
        self._phone_goes_on()
        ends = [self._begun_at + self._writes[0] / self._up] if self._writes else []
        ends += [self._packets[0][0]] if self._packets else []
        self._clock.now = max(self._clock.now, min(ends, default=self._clock.now + 0.0001))
        is_waiting = self._phone_goes_on()
        self._collect()
        self.turns += 1
        came_at, count = self._clock.now, 0
        while self._packets and self._packets[0][0] <= came_at:
            self._acknowledged = self._packets.popleft()[1]
            count += 1
        if is_waiting and not self._packets:
            self._acknowledged = self._gone
        self._clock.now += turn_s + packet_s * count
        if count:
            self._take(count, came_at)
        self._send(packet_s)

    def _take(self, count: int, came_at: float) -> None:
        self.downloaded += count * self._packet
        self._news.append((max(self._clock.now, self._begun_at + sum(self._writes) / self._up), count * self._packet))
        if self._moderation is not None:
            self._moderation.came(self._stream, count * self._packet, self._packet, came_at)

    def _send(self, packet_s: float) -> None:
        while not self._limit.is_reached():
            count = min(_LONGEST, _PHONE_WINDOW - (self.uploaded - self._acknowledged))
            if not count:
                break
            self._clock.now += packet_s
            if not self._writes:
                self._begun_at = self._clock.now
            self._writes.append(count)
            self._limit.drain.in_flight += count
            self.uploaded += count
            if self._moderation is not None:
                self._moderation.went(self._stream, count, self._limit.drain)
        self._was_full = self._limit.is_reached()

    def _collect(self) -> None:
        ended = 0
        while self._writes and self._begun_at + self._writes[0] / self._up <= self._clock.now + 1e-9:
            count = self._writes.popleft()
            self._begun_at += count / self._up
            ended += count
        if ended:
            self._gone += ended
            self._limit.ended(ended, was_full=self._was_full)

    def _phone_goes_on(self) -> bool:
        """Until now. Returns: whether it may not send."""
        while self._free_at <= self._clock.now:
            while self._news and self._news[0][0] <= self._free_at:
                self._untold -= self._news.popleft()[1]
            if self._untold + self._packet <= self._window:
                self._packets.append((self._free_at + self._packet / self._down, self._gone_at(self._free_at)))
                self._untold += self._packet
                self._free_at = self._packets[-1][0]
            elif self._news:
                self._free_at = self._news[0][0]
            else:
                return True
        return False

    def _gone_at(self, time_s: float) -> int:
        gone, at_s = self._gone, self._begun_at
        for count in self._writes:
            at_s += count / self._up
            if at_s > time_s:
                break
            gone += count
        return gone
