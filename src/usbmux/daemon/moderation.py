"""The pauses of the loop while a stream comes from a phone, or goes to one.

A packet comes every few hundred microseconds on USB 2, and is a turn of the loop of its own. Most of what a turn takes,
from waking up to the acknowledgement, is the same for ten packets. So the loop pauses between turns, as network cards
keep their interrupts apart, but only while nobody can be waiting for what is held up: while much comes from phones,
nothing goes to them, and nobody asks for anything. Or much goes to one phone, and nothing else comes than to the same
connection: see `UploadPause`.
"""

import time
from collections.abc import Callable
from typing import Final

from usbmux.daemon.short_sleep import ShortSleep
from usbmux.daemon.upload_pause import UploadPause
from usbmux.mux.connection import TcpConnection
from usbmux.usb.drain import Drain

_STREAM: Final = 256 * 1024
"""Bytes in which nothing went to a phone, after which it is a stream and no answer to somebody's next question."""
_UPLOAD_REST: Final = 64 << 20
"""Bytes of an upload for which it is let be, if pauses have been in vain."""
_SILENCE_S: Final = 0.02
"""What comes after a longer one is a new stream."""
_SHARE: Final = 1 / 32
"""Of the time for which it has been a stream: nothing that comes behind it is held up longer than that."""
_MOST_S: Final = 0.003
"""The longest pause."""
_SELDOM_S: Final = 0.004
"""If something comes no more often, nothing would come together."""
_LEAST_S: Final = 0.00005
"""The shortest: a phone that brings a batch sooner keeps us awake anyhow."""
_MUCH: Final = 65_536
"""If a turn brings more bytes than that after a silence, it was we who were away."""
_MARGIN: Final = 33 / 32
_USUAL: Final = 1 / 8
"""What a turn counts among those before it: long packets are told in one turn and not in the next."""
_GROWTH: Final = 1.125
_CAREFUL_GROWTH: Final = 1.03
"""Once it was too long."""
_SHRINKAGE: Final = 0.75
_MOST_MISSES: Final = 24
"""If a phone had to wait so often, or even the shortest pause is too long, it is let be for a while."""
_MISS: Final = 8
"""What one of them counts; a turn that was in time makes up for an eighth of it."""
_REST_S: Final = 0.25


class Moderation:
    """Pauses between the turns of the loop.

    A pause begins short, and grows as the stream runs, as long as what comes meanwhile does not fill the window of a
    connection. It shrinks when more comes or a phone had to wait.

    Args:
        now: The clock, in seconds.
        sleep: Sleeps for so many seconds, or a little longer.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._now: Final = now
        self._sleep: Final = ShortSleep(now, sleep)
        self._upload_pause: Final = UploadPause()
        self._uploaded = 0
        """Bytes to one phone since anything else was moved or asked for."""
        self._uploader: TcpConnection | None = None
        """The connection that they went to, if it was one only."""
        self._was_answered = False
        """Whether something came from it since we last were asked for a pause."""
        self._is_upload = False
        """Whether there were enough of them when we last were asked for a pause."""
        self._drain: Drain | None = None
        """Of that phone."""
        self._came = 0
        """Bytes of the stream."""
        self._came_before = 0
        """Those before the last pause."""
        self._is_stream = False
        self._since = self._looked = 0.0
        """When the stream began to be one, and when we last were asked for a pause."""
        self._came_at = self._came_at_before = 0.0
        """When the last turn began that brought something, and the one before it."""
        self._is_judged = False
        """Whether this turn comes after a pause that was as long as it should be."""
        self._pause_s = 0.0
        """How long to sleep, as far as it is found out; 0 for not at all."""
        self._growth = _GROWTH
        self._most = 0
        """Bytes since the last pause of the connection that brought most: each has a window of its own."""
        self._window = 0
        """How many it may send before it hears from us."""
        self._packet = 0
        """Bytes in the longest packet of the stream."""
        self._usual_batch = self._usual_cycle_s = 0.0
        """Bytes of a connection in a turn after a pause, and how long after the one before it it began."""
        self._ran_low = False
        self._is_ours = True
        """Whether it is we whom the phone would wait for."""
        self._misses = 0
        """How often the shortest time was too long, in parts of `_MISS`."""
        self._rests_until = 0.0

    def came(self, connection: TcpConnection, count: int, packet: int, now: float) -> None:
        """Payload of a connection came from a phone; told behind its delivery.

        Args:
            connection: Which.
            count: How many bytes.
            packet: How many of them in one packet.
            now: When they came.
        """
        if connection is not self._uploader:
            self._uploaded = 0
        elif self._uploaded:
            self._was_answered = True
            self._upload_pause.counterflow.came(count, packet, connection.rcv_wnd, now)
        self._came += count
        if count > self._most:
            self._most, self._window = count, connection.rcv_wnd
        if packet > self._packet:
            self._packet = packet
        self._came_at = now

    def went(self, connection: TcpConnection, count: int, drain: Drain) -> None:
        """So many bytes of payload of a connection were handed to the pipe of a phone."""
        if drain is not self._drain:
            self._uploaded, self._drain = 0, drain
        if connection is not self._uploader:
            self._uploader = None if self._uploaded else connection
        self._uploaded += count
        if self._came:
            self._came = self._packet = 0
            self._is_stream = False

    def begin_anew(self) -> None:
        """Something was queued for a phone, or somebody asked for something."""
        self._uploaded = self._came = self._packet = 0
        self._is_stream = False

    def client_fell_behind(self) -> None:
        """Somebody takes less than comes: the next turn is that client's."""
        self._is_ours = False

    def ran_low(self) -> None:
        """A phone has had to wait until we were awake, or soon would; told behind what it has brought."""
        self._ran_low = True

    def pause(self) -> float:
        """Sleep before the loop looks for events again, if that pays. To be called once for each turn, at its end.

        Returns:
            For how many seconds it was meant to be.
        """
        if self._was_answered:
            self._was_answered = False
            assert self._drain is not None
            if not self._drain.in_flight:  # so what comes next may be because of that
                self._uploaded = 0
        if self._uploaded >= _STREAM:
            return self._pause_upload()
        if self._is_upload:
            self._is_upload = False
            self._upload_pause.end()
        if self._came < _STREAM:
            return 0.0
        if not self._is_ours and self._is_stream:
            self._is_ours = True
            if self._is_judged:
                self._shrink()
            self._end_turn(self._came_at)
            return 0.0
        now, batch = self._now(), self._came - self._came_before
        if not self._is_stream:
            self._begin(now)
            return 0.0
        if now - self._looked > _SILENCE_S and batch < _MUCH:
            self.begin_anew()
            return 0.0
        longest = min((now - self._since) * _SHARE, _MOST_S)
        if self._is_judged and batch:
            self._adapt(now, longest)
        elif not self._pause_s and longest >= _LEAST_S and now >= self._rests_until:
            self._pause_s, self._misses = _LEAST_S, 0
        self._end_turn(now)
        return self._sleep_for(min(self._pause_s, longest), now) if self._pause_s else 0.0

    def _pause_upload(self) -> float:
        assert self._drain is not None
        self._is_upload = True
        now = self._now()
        if length_s := self._upload_pause.length(self._drain, self._uploaded, now):
            asked_s = self._sleep(length_s, now)
            self._upload_pause.slept(was_as_usual=self._sleep.was_as_usual)
            return asked_s
        if self._upload_pause.is_in_vain:
            self._uploaded = -_UPLOAD_REST
        return 0.0

    def _end_turn(self, now: float) -> None:
        self._looked = now
        self._came_at_before = self._came_at
        self._came_before, self._most, self._ran_low = self._came, 0, False
        self._is_judged = False

    def _sleep_for(self, wanted_s: float, now: float) -> float:
        asked_s = self._sleep(wanted_s, now)
        self._looked, self._is_judged = self._sleep.ended_at, self._sleep.was_as_usual
        return asked_s

    def _begin(self, now: float) -> None:
        self._is_stream, self._is_judged = True, False
        self._came = self._came_before = _STREAM
        self._since = self._looked = self._came_at_before = now
        self._pause_s, self._growth = 0.0, _GROWTH
        self._usual_batch = self._usual_cycle_s = 0.0

    def _adapt(self, now: float, longest: float) -> None:
        """Learn from the turn after a pause."""
        cycle_s, turn_s = max(self._came_at - self._came_at_before, _LEAST_S), now - self._came_at
        share = _USUAL if self._usual_cycle_s else 1.0
        self._usual_batch += (self._most - self._usual_batch) * share
        self._usual_cycle_s += (cycle_s - self._usual_cycle_s) * share
        if self._usual_cycle_s > _SELDOM_S:
            self._rest(now)
            return
        # What came while the turn before it lasted was left for this one, and only its end tells the phone, which sends
        # whole packets: there must be room for the one under way and for the next.
        on_its_way = self._usual_batch / self._usual_cycle_s * (self._sleep.took_s + 2 * turn_s)
        packets = on_its_way * _MARGIN // self._packet + 2
        if packets * self._packet <= self._window and not self._ran_low:
            self._pause_s = min(self._pause_s * self._growth, longest)
            self._misses = max(self._misses - 1, 0)
            return
        if self._ran_low or self._pause_s == _LEAST_S:
            self._misses += _MISS
        self._shrink()
        if self._misses > _MOST_MISSES:
            self._rest(now)

    def _shrink(self) -> None:
        self._pause_s, self._growth = max(self._pause_s * _SHRINKAGE, _LEAST_S), _CAREFUL_GROWTH

    def _rest(self, now: float) -> None:
        self._pause_s, self._rests_until = 0.0, now + _REST_S
