"""How far apart the turns of the loop are kept while a stream comes from a phone.

On USB 2 a packet comes every few hundred microseconds, and is a turn of the loop of its own. Most of what a turn takes,
from waking up to the acknowledgement, is the same for ten packets. So turns are kept apart as network cards keep their
interrupts apart, but only while nobody can be waiting for what is held up: while much comes from phones, nothing goes
to them, and nobody asks for anything.
"""

import time
from collections.abc import Callable
from typing import Final

_STREAM: Final = 256 * 1024
"""Bytes in which nothing went to a phone, after which it is a stream and no answer to somebody's next question."""
_SILENCE_S: Final = 0.02
"""What comes after a longer one is a new stream."""
_SHARE: Final = 1 / 32
"""Of the time for which it has been a stream: nothing that comes behind it is held up longer than that."""
_MOST_S: Final = 0.003
"""The longest time from turn to turn."""
_LEAST_S: Final = 0.0005
"""The shortest: a phone that brings a batch sooner keeps us awake anyhow."""
_LONG_TURN_S: Final = 0.0015
"""A turn that takes longer is not judged: something else had the processor."""
_SHORTEST_S: Final = 0.00005
"""No pause is shorter: it would take twice as long as it should."""
_ENOUGH: Final = 114_688
"""Bytes, seven eighths of a window: if as much comes from turn to turn, a phone need not wait for us just yet."""
_GROWTH: Final = 1.125
_CAREFUL_GROWTH: Final = 1.03
"""Once it was too long."""
_SHRINKAGE: Final = 0.75
_MOST_MISSES: Final = 24
"""If even the shortest time is too long so often, it is let be for a while."""
_MISS: Final = 8
"""What one of them counts; a turn that was in time makes up for an eighth of it."""
_REST_S: Final = 0.25


class Moderation:
    """Tells the loop how long to pause.

    The time between turns begins short, and grows as the stream runs, until a turn has enough to do. It shrinks when a
    turn has too much to do or a phone had to wait.

    Args:
        now: The clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now: Final = now
        self._came = 0
        """Bytes of the stream."""
        self._came_before = 0
        """Those before the last pause."""
        self._is_stream = False
        self._since = self._last_seen = self._woken = 0.0
        """When the stream began to be one, when we last were awake, and when the last turn began."""
        self._apart_s = 0.0
        """The time between turns, as far as it is found out; 0 if they are not kept apart."""
        self._growth = _GROWTH
        self._usual_batch = 0
        """Bytes in a turn after a pause, lately: long packets are told in one turn and not in the next."""
        self._has_paused = self._ran_low = False
        self._is_ours = True
        """Whether it is we whom the phone would wait for."""
        self._misses = 0
        """How often the shortest time was too long, in parts of `_MISS`."""
        self._rests_until = 0.0

    def came(self, count: int) -> None:
        """So many bytes of payload came from a phone."""
        self._came += count

    def begin_anew(self) -> None:
        """Payload went to a phone, or somebody asked for something."""
        self._came = 0
        self._is_stream = False

    def client_fell_behind(self) -> None:
        """Somebody takes less than comes: the next turn is that client's."""
        self._is_ours = False

    def ran_low(self) -> None:
        """A phone has had to wait until we were awake, or soon would; told behind what it has brought."""
        self._ran_low = True

    def pause_s(self) -> float:
        """For how long to sleep before the loop looks for events again. To be asked once for each turn."""
        if self._came < _STREAM:
            return 0.0
        now, batch = self._now(), self._came - self._came_before
        if not self._is_stream:
            self._begin(now)
            return 0.0
        if now - self._last_seen > _SILENCE_S and batch < _ENOUGH // 2:  # with more than that, it was we who were away
            self.begin_anew()
            return 0.0
        if not self._is_ours:
            self._is_ours, self._has_paused = True, False
            self._woken = self._last_seen = now
            self._came_before, self._ran_low = self._came, False
            return 0.0
        longest = min((now - self._since) * _SHARE, _MOST_S)
        if self._has_paused and (took := now - self._woken) < _LONG_TURN_S:
            self._adapt(now, longest, batch, took)
        elif not self._apart_s and longest >= _LEAST_S and now >= self._rests_until:
            self._apart_s, self._misses = _LEAST_S, 0
        self._came_before, self._ran_low = self._came, False
        pause = self._apart_s - (now - self._woken)
        self._has_paused = pause >= _SHORTEST_S
        self._woken = self._last_seen = now + pause if self._has_paused else now
        return pause if self._has_paused else 0.0

    def _begin(self, now: float) -> None:
        self._is_stream, self._has_paused = True, False
        self._came = self._came_before = _STREAM
        self._since = self._last_seen = self._woken = now
        self._apart_s, self._growth, self._usual_batch = 0.0, _GROWTH, 0

    def _adapt(self, now: float, longest: float, batch: int, took: float) -> None:
        """Learn from the turn after a pause."""
        self._usual_batch = (self._usual_batch + batch) // 2
        on_its_way = self._usual_batch * (1 + took / self._apart_s)  # when the turn ends, and is acknowledged
        if on_its_way <= _ENOUGH and not self._ran_low:
            self._apart_s = min(self._apart_s * self._growth, longest)
            self._misses = max(self._misses - 1, 0)
            return
        self._apart_s, self._growth = max(self._apart_s * _SHRINKAGE, _LEAST_S), _CAREFUL_GROWTH
        self._misses += _MISS
        if self._misses > _MOST_MISSES:
            self._apart_s, self._rests_until = 0.0, now + _REST_S
