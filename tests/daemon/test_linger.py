from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import turns
from usbmux.daemon.linger import Linger

if TYPE_CHECKING:
    from tests.daemon.loop_clock import LoopClock

pytestmark = pytest.mark.asyncio

LINGER_S = 8000.0
STEP_S = 1000.0
"""How often it looks; the time that goes by in truth is nothing beside it."""


class Load:
    """Something that moves when it is told to."""

    def __init__(self, clock: LoopClock) -> None:
        self.moved = 0
        self._times_given_up = 0
        self._clock = clock
        self.linger = Linger(asyncio.get_running_loop(), LINGER_S, lambda: (self.moved,), self.give_up)

    def give_up(self) -> None:
        self._times_given_up += 1

    def times_given_up(self) -> int:
        return self._times_given_up

    async def steps(self, count: int) -> None:
        for _ in range(count):
            self._clock.passed_s += STEP_S
            await turns(5)


async def test_linger_nothing_moves_gives_up_once_when_it_is_over(clock: LoopClock) -> None:
    load = Load(clock)
    await load.steps(7)
    assert not load.times_given_up()
    await load.steps(1)
    assert load.times_given_up() == 1
    await load.steps(20)
    assert load.times_given_up() == 1


async def test_linger_something_moves_now_and_then_begins_anew(clock: LoopClock) -> None:
    load = Load(clock)
    for _ in range(5):
        load.moved += 1
        await load.steps(7)
    assert not load.times_given_up()
    await load.steps(2)
    assert load.times_given_up() == 1


async def test_linger_ended_gives_up_no_more(clock: LoopClock) -> None:
    load = Load(clock)
    await load.steps(3)
    load.linger.end()
    await load.steps(20)
    assert not load.times_given_up()
