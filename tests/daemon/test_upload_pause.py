"""Pauses during an upload, against an endpoint that the tests calculate."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.download_link import WINDOW, stream_to_phone
from tests.daemon.sleeping_clock import Clock
from usbmux.daemon.moderation import Moderation
from usbmux.usb.drain import Drain
from usbmux.usb.spare_memory import SpareMemory
from usbmux.usb.write_limit import WriteLimit

PACKET = 49_112
LEAST = 49_152
STREAM = 256 * 1024


class Upload:
    """A client that always has more, a phone that takes it as fast as the bus allows, and a loop in between.

    The phone acknowledges each write when it has ended; so a window is in flight at most.
    """

    def __init__(self, moderation: Moderation | None, clock: Clock, *, rate: float, connections: int = 1) -> None:
        self.turns = self.moved = 0
        self.limit = WriteLimit(SpareMemory(), least=LEAST, most=4 * LEAST, step=LEAST // 2, now=clock)
        self.drain = self.limit.drain
        self.dry_s = 0.0
        self.longest_ahead_s = 0.0
        self.streams = [stream_to_phone() for _ in range(connections)]
        self._moderation = moderation
        self._clock = clock
        self._rate = rate
        self._window = connections * WINDOW
        self._writes: list[int] = []
        self._begun_at = clock.now
        self._was_full = False

    def run(self, seconds: float, *, turn_s: float = 40e-6, packet_s: float = 15e-6) -> float:
        """Returns: bytes per second."""
        begin, before = self._clock.now, self.moved
        while self._clock.now < begin + seconds:
            self.turn(turn_s, packet_s)
        return (self.moved - before) / (self._clock.now - begin)

    def turn(self, turn_s: float = 40e-6, packet_s: float = 15e-6) -> float:
        """Sleep, wait until a write has ended, and hand over as much as may be.

        Returns:
            How long the pause was meant to be.
        """
        pause_s = self._moderation.pause() if self._moderation is not None else 0.0
        if self._writes:
            self._clock.now = max(self._clock.now, self._begun_at + self._writes[0] / self._rate)
        self._collect()
        self.turns += 1
        self._clock.now += turn_s
        while count := self._next_packet():
            self._clock.now += packet_s
            self._write(count)
        self._was_full = self.limit.is_reached()
        return pause_s

    def finish(self) -> None:
        """Nothing more is handed over until all has gone out."""
        self._clock.now += self.drain.in_flight / self._rate + 1e-6
        self._collect()

    def _next_packet(self) -> int:
        return 0 if self.limit.is_reached() else min(PACKET, self._window - self.drain.in_flight)

    def _write(self, count: int) -> None:
        dry_at = self._begun_at + sum(self._writes) / self._rate
        if dry_at <= self._clock.now:
            self.dry_s += self._clock.now - dry_at
            self._begun_at = self._clock.now - sum(self._writes) / self._rate
        self.longest_ahead_s = max(self.longest_ahead_s, dry_at - self._clock.now)
        self._writes.append(count)
        self.drain.in_flight += count
        self.moved += count
        if self._moderation is not None:
            self._moderation.went(self.streams[self.turns % len(self.streams)], count, self.drain)

    def _collect(self) -> None:
        ended = 0
        while self._writes and self._begun_at + self._writes[0] / self._rate <= self._clock.now + 1e-9:
            length = self._writes.pop(0)
            self._begun_at += length / self._rate
            ended += length
        if ended:
            self.limit.ended(ended, was_full=self._was_full)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def moderation(clock: Clock) -> Moderation:
    return Moderation(clock, clock.sleep)


@pytest.mark.parametrize(("rate", "most_turns"), [(40e6, 13), (400e6, 19)])
def test_upload_without_end_two_packets_are_a_turn_at_the_full_rate(
    moderation: Moderation, clock: Clock, rate: float, most_turns: int
) -> None:
    upload = Upload(moderation, clock, rate=rate)
    upload.run(0.2)
    turns, moved = upload.turns, upload.moved

    assert upload.run(1) > 0.995 * rate
    assert upload.turns - turns < most_turns * (upload.moved - moved) / (1 << 20)


def test_many_connections_more_is_a_turn(moderation: Moderation, clock: Clock) -> None:
    upload = Upload(moderation, clock, rate=400e6, connections=50)
    upload.run(0.2)
    turns, moved = upload.turns, upload.moved

    assert upload.run(1) > 0.99 * 400e6
    assert upload.turns - turns < 12 * (upload.moved - moved) / (1 << 20)


def test_no_more_is_in_front_of_a_keystroke_than_two_packets_and_what_goes_out_while_we_wake_up(
    moderation: Moderation, clock: Clock
) -> None:
    upload = Upload(moderation, clock, rate=40e6)
    upload.run(1)
    assert upload.longest_ahead_s + PACKET / 40e6 < (2 * LEAST + 0.00025 * 40e6) / 40e6


def test_endpoint_is_too_fast_for_any_pause_it_is_let_be(moderation: Moderation, clock: Clock) -> None:
    upload = Upload(moderation, clock, rate=2e9)
    wanted = 0
    for _ in range(20_000):
        upload.turn(turn_s=10e-6, packet_s=5e-6)
        wanted += upload.drain.is_wanted
    assert wanted < 2000
    assert clock.longest_pause_s == 0


@settings(max_examples=60)
@given(
    rate=st.floats(1e6, 1e9),
    connections=st.sampled_from([1, 2, 50]),
    turn_s=st.floats(1e-5, 5e-4),
    packet_s=st.floats(1e-6, 3e-5),
    overshoot_s=st.floats(1e-5, 5e-4),
)
def test_whatever_the_phone_it_is_held_up_by_little(
    rate: float, connections: int, turn_s: float, packet_s: float, overshoot_s: float
) -> None:
    clock = Clock(overshoot_s)
    upload = Upload(Moderation(clock, clock.sleep), clock, rate=rate, connections=connections)
    free = Upload(None, Clock(), rate=rate, connections=connections)

    found = upload.run(0.4, turn_s=turn_s, packet_s=packet_s)

    assert found > 0.98 * free.run(0.4, turn_s=turn_s, packet_s=packet_s)


def pauses(upload: Upload, turns: int) -> bool:
    """Whether there is any in so many turns."""
    return any([upload.turn() for _ in range(turns)])


def test_each_pause_is_over_before_the_endpoint_is_dry(moderation: Moderation, clock: Clock) -> None:
    upload = Upload(moderation, clock, rate=40e6)
    upload.run(1)
    assert upload.drain.times_dry < 5
    assert upload.dry_s < 0.001


@pytest.mark.parametrize("what", ["answer", "request", "other phone"])
def test_anything_else_happens_it_must_be_an_upload_again(moderation: Moderation, clock: Clock, what: str) -> None:
    upload = Upload(moderation, clock, rate=40e6)
    upload.run(0.2)
    assert pauses(upload, 20)

    match what:
        case "answer":
            moderation.came(stream_to_phone(), 10, 10, clock.now)
        case "request":
            moderation.begin_anew()
        case _:
            moderation.went(upload.streams[0], 10, Drain())

    assert not pauses(upload, 3)
    assert not upload.drain.is_wanted
    upload.run(0.05)
    assert pauses(upload, 20)


@pytest.mark.parametrize("rate", [40e6, 400e6])
def test_same_connection_is_answered_while_more_is_in_flight_upload_goes_on(
    moderation: Moderation, clock: Clock, rate: float
) -> None:
    upload = Upload(moderation, clock, rate=rate)
    upload.run(0.2)

    end = clock.now + 0.05
    while clock.now < end:
        moderation.came(upload.streams[0], 10, 10, clock.now)
        upload.turn()

    assert upload.drain.is_wanted
    assert pauses(upload, 3)


def test_same_connection_is_answered_behind_its_last_byte_it_must_be_an_upload_again(
    moderation: Moderation, clock: Clock
) -> None:
    upload = Upload(moderation, clock, rate=40e6)
    upload.run(0.2)
    upload.finish()

    moderation.came(upload.streams[0], 10, 10, clock.now)

    assert not pauses(upload, 3)
    assert not upload.drain.is_wanted
    upload.run(0.05)
    assert pauses(upload, 20)


def test_upload_of_less_than_a_stream_is_never_held_up(moderation: Moderation, clock: Clock) -> None:
    upload = Upload(moderation, clock, rate=40e6)
    for _ in range(1000):
        assert not pauses(upload, 3)
        moderation.came(stream_to_phone(), 40, 40, clock.now)
    assert clock.longest_pause_s == 0
