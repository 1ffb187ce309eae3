"""How long the loop may sleep while a stream comes from phones."""

from typing import Final

_STREAM: Final = 256 * 1024
"""Bytes in which nothing went to a phone, after which it is a stream and no answer to somebody's next question."""
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


class DownloadPause:
    """Finds out how much may come while we sleep.

    A pause begins short, and grows as the stream runs, as long as what comes meanwhile does not fill the window of a
    connection. It shrinks when more comes, or than a client's socket takes, or a phone had to wait.
    """

    def __init__(self) -> None:
        self.count = 0
        """Bytes of the stream."""
        self._count_before = 0
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
        self._slept_s = 0.0
        """How long we did, last."""
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

    @property
    def is_download(self) -> bool:
        """Whether so much has come that there may be a pause."""
        return self.count >= _STREAM

    def came(self, count: int, packet: int, window: int, now: float) -> None:
        """Payload of one connection came.

        Args:
            count: How many bytes.
            packet: How many of them in one packet.
            window: Ours, for that connection.
            now: When they came.
        """
        self.count += count
        if count > self._most:
            self._most, self._window = count, window
        if packet > self._packet:
            self._packet = packet
        self._came_at = now

    def begin_anew(self) -> None:
        """Something else happened: it must be a stream again."""
        self.count = self._packet = 0
        self._is_stream = False

    def client_fell_behind(self) -> None:
        """Somebody takes less than comes: the next turn is that client's."""
        self._is_ours = False

    def ran_low(self) -> None:
        """A phone has had to wait until we were awake, or soon would; told behind what it has brought."""
        self._ran_low = True

    def length(self, now: float) -> float:
        """How many seconds to sleep now; 0 for not at all. To be asked once for each turn of a download, at its end."""
        if not self._is_ours and self._is_stream:
            self._is_ours = True
            if self._is_judged:
                self._shrink()
            self._end_turn(self._came_at)
            return 0.0
        batch = self.count - self._count_before
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
        return min(self._pause_s, longest)

    def slept(self, began_at: float, took_s: float, *, was_as_usual: bool) -> None:
        """The pause was made. If something else had the processor at its end, nothing can be learnt from it."""
        self._looked, self._slept_s, self._is_judged = began_at + took_s, took_s, was_as_usual

    def _end_turn(self, now: float) -> None:
        self._looked = now
        self._came_at_before = self._came_at
        self._count_before, self._most, self._ran_low = self.count, 0, False
        self._is_judged = False

    def _begin(self, now: float) -> None:
        self._is_stream, self._is_judged = True, False
        self.count = self._count_before = _STREAM
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
        on_its_way = self._usual_batch / self._usual_cycle_s * (self._slept_s + 2 * turn_s)
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
