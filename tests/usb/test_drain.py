"""What is known of writes in flight, on an endpoint that the tests calculate."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.usb.drain import Drain

PACKET = 49_112
RATE = 40e6


class Endpoint:
    """Carries writes one behind the other, and tells a `Drain` when it is looked at."""

    def __init__(self, drain: Drain, rate: float = RATE) -> None:
        self.now = 1000.0
        self.drain = drain
        self._rate = rate
        self._in_flight: list[int] = []
        self._begun_at = 0.0

    def write(self, count: int) -> None:
        if not self._in_flight:
            self._begun_at = self.now
        self._in_flight.append(count)
        self.drain.in_flight += count

    def look(self, now: float) -> None:
        """Somebody looks at that time, if anything has ended."""
        self.now = now
        ended = 0
        while self._in_flight and self._begun_at + self._in_flight[0] / self._rate <= now + 1e-9:
            length = self._in_flight.pop(0)
            self._begun_at += length / self._rate
            ended += length
        if ended:
            self.drain.ended(ended, now)

    def look_at_end(self) -> None:
        """Somebody who waits for it looks as soon as the write on the wire has ended."""
        self.look(self._begun_at + self._in_flight[0] / self._rate)

    @property
    def gone(self) -> float:
        return (self.now - self._begun_at) * self._rate

    @property
    def dry_at(self) -> float:
        return self._begun_at + sum(self._in_flight) / self._rate


def known(rate: float = RATE) -> Endpoint:
    """An endpoint that was kept busy until its rate is known, with two writes in flight."""
    endpoint = Endpoint(Drain(), rate)
    endpoint.drain.want(True)
    endpoint.write(PACKET)
    for _ in range(12):
        endpoint.write(PACKET)
        endpoint.look_at_end()
    endpoint.write(PACKET)
    return endpoint


def test_rate_is_known_after_a_while_without_a_break() -> None:
    assert known().drain.rate == pytest.approx(RATE)


def test_awaited_nothing_is_gone_of_what_is_left() -> None:
    endpoint = known()
    assert endpoint.drain.gone == 0
    assert endpoint.drain.dry_at() == pytest.approx(endpoint.dry_at)


def test_not_awaited_part_of_the_first_write_is_gone() -> None:
    endpoint = known()
    endpoint.write(PACKET)
    endpoint.drain.awaited_since = math.inf
    endpoint.look(endpoint.now + 1.75 * PACKET / RATE)
    assert endpoint.drain.gone == pytest.approx(0.75 * PACKET, abs=5)
    endpoint.write(PACKET)
    assert endpoint.drain.dry_at() == pytest.approx(endpoint.dry_at)


def test_has_ended_at_the_moment_when_somebody_began_to_wait_it_may_have_ended_before() -> None:
    endpoint = known()
    late = endpoint.now + 1.5 * PACKET / RATE
    endpoint.drain.awaited_since = late - 1e-6
    endpoint.look(late)
    assert endpoint.drain.gone == pytest.approx(0.5 * PACKET, abs=5)


def test_more_has_ended_than_should_have_it_is_known_from_then() -> None:
    endpoint = known()
    endpoint.drain.rate = RATE / 2
    endpoint.drain.awaited_since = math.inf
    for _ in range(3):
        endpoint.write(PACKET)
    endpoint.look(endpoint.now + 3.5 * PACKET / RATE)
    assert endpoint.drain.gone == 0


def test_less_has_ended_than_should_have_one_write_is_gone_at_most() -> None:
    endpoint = known()
    endpoint.drain.rate = 10 * RATE
    endpoint.drain.awaited_since = math.inf
    endpoint.look(endpoint.now + 1.1 * PACKET / RATE)
    assert endpoint.drain.gone == PACKET - 1
    assert endpoint.drain.dry_at() > endpoint.now


def test_ran_dry_it_is_counted_and_nothing_is_known_until_it_is_busy() -> None:
    endpoint = known()
    endpoint.look(endpoint.now + 1)
    assert (endpoint.drain.in_flight, endpoint.drain.times_dry, endpoint.drain.dry_at()) == (0, 1, 0.0)
    endpoint.write(PACKET)
    endpoint.write(PACKET)
    assert endpoint.drain.dry_at() == 0.0
    endpoint.look_at_end()
    assert endpoint.drain.dry_at() == pytest.approx(endpoint.dry_at)


@pytest.mark.parametrize(("factor", "packets"), [(0.25, 2000), (4, 40)])
def test_rate_changes_it_is_found_out_anew(factor: float, packets: int) -> None:
    endpoint = known()
    endpoint._rate = factor * RATE
    for _ in range(packets):
        endpoint.look_at_end()
        endpoint.write(PACKET)
    assert endpoint.drain.rate == pytest.approx(factor * RATE, rel=0.02)


def test_nobody_wants_to_know_only_what_is_in_flight_is_counted() -> None:
    endpoint = known()
    endpoint.drain.awaited_since = math.inf
    endpoint.look(endpoint.now + 1.5 * PACKET / RATE)

    endpoint.drain.want(False)

    assert (endpoint.drain.gone, endpoint.drain.dry_at()) == (0, 0.0)
    endpoint.write(PACKET)
    endpoint.look_at_end()
    assert (endpoint.drain.in_flight, endpoint.drain.gone, endpoint.drain.dry_at()) == (PACKET, 0, 0.0)


@given(
    rate=st.floats(1e6, 1e9),
    shares=st.lists(st.floats(0.1, 1.9), min_size=1, max_size=15),
    lengths=st.lists(st.integers(30_000, PACKET), min_size=16, max_size=16),
)
def test_however_late_somebody_looks_it_is_known_how_much_is_gone(
    rate: float, shares: list[float], lengths: list[int]
) -> None:
    endpoint = known(rate)
    endpoint.drain.awaited_since = math.inf
    endpoint.write(lengths[0])
    for share, length in zip(shares, lengths[1:], strict=False):
        endpoint.look(min(endpoint.now + share * 30_000 / rate, endpoint.dry_at - 1000 / rate))
        endpoint.write(length)
        if endpoint.drain._looked_at == endpoint.now:
            assert endpoint.drain.gone == pytest.approx(endpoint.gone, abs=50)
        assert endpoint.drain.dry_at() == pytest.approx(endpoint.dry_at, abs=50 / rate)
