from __future__ import annotations

from usbmux.daemon.stalls import SHORTEST_S, Stalls

START = 1000.0  # far from 0, as a real clock is


class Clock:
    def __init__(self) -> None:
        self.now = START
        self.reads = 0

    def __call__(self) -> float:
        self.reads += 1
        return self.now


def test_flowing_nothing_is_counted_and_the_clock_is_not_read() -> None:
    clock = Clock()
    stalls = Stalls(clock)
    stalls.end()
    assert stalls.until(START + 100.0) == (0, 0.0)
    assert clock.reads == 0


def test_waits_that_are_short_are_not_counted() -> None:
    clock = Clock()
    stalls = Stalls(clock)
    for _ in range(100):
        stalls.begin()
        clock.now += SHORTEST_S * 0.99
        stalls.end()
    assert stalls.until(clock.now) == (0, 0.0)


def test_waits_that_are_long_are_counted_and_summed_up() -> None:
    clock = Clock()
    stalls = Stalls(clock)
    for length_s in (1.0, 0.01, 2.5):
        stalls.begin()
        clock.now += length_s
        stalls.end()
        clock.now += 10
    assert stalls.until(clock.now) == (2, 3.5)


def test_waiting_the_wait_counts_once_it_is_long() -> None:
    clock = Clock()
    stalls = Stalls(clock)
    stalls.begin()
    assert stalls.until(START + 0.05) == (0, 0.0)
    assert stalls.until(START + 4.0) == (1, 4.0)
    clock.now = START + 6.0
    stalls.end()
    assert stalls.until(START + 9.0) == (1, 6.0)


def test_waiting_begun_again_the_beginning_stays_and_the_clock_is_not_read() -> None:
    clock = Clock()
    stalls = Stalls(clock)
    stalls.begin()
    clock.now = START + 5.0
    stalls.begin()
    assert clock.reads == 1
    assert stalls.until(START + 6.0) == (1, 6.0)
