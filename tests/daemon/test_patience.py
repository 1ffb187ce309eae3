from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import turns, until
from usbmux.daemon.patience import Patience

if TYPE_CHECKING:
    from tests.daemon.loop_clock import LoopClock

pytestmark = pytest.mark.asyncio


class Client:
    def __init__(self) -> None:
        self.times_given_up = 0

    def give_up(self) -> None:
        self.times_given_up += 1


class Failing(Client):
    def give_up(self) -> None:
        super().give_up()
        raise RuntimeError("given up badly")


async def test_time_is_over_those_that_began_so_long_ago_are_given_up(clock: LoopClock) -> None:
    patience = Patience(asyncio.get_running_loop(), timeout_s=60)
    first, second, third = Client(), Client(), Client()
    patience.begin(first)
    patience.begin(second)
    clock.passed_s = 30
    patience.begin(third)
    await turns(5)
    assert not first.times_given_up
    clock.passed_s = 60
    await until(lambda: second.times_given_up)
    assert (first.times_given_up, second.times_given_up, third.times_given_up) == (1, 1, 0)
    clock.passed_s = 90
    await until(lambda: third.times_given_up)
    assert (first.times_given_up, second.times_given_up, third.times_given_up) == (1, 1, 1)


async def test_begun_again_meanwhile_the_first_time_counts(clock: LoopClock) -> None:
    patience = Patience(asyncio.get_running_loop(), timeout_s=60)
    client = Client()
    patience.begin(client)
    clock.passed_s = 59
    patience.begin(client)
    clock.passed_s = 60
    await until(lambda: client.times_given_up)


async def test_ended_and_begun_anew_it_has_all_the_time_again(clock: LoopClock) -> None:
    patience = Patience(asyncio.get_running_loop(), timeout_s=60)
    client, other = Client(), Client()
    patience.begin(client)
    patience.begin(other)
    clock.passed_s = 59
    patience.end(client)
    patience.begin(client)
    patience.end(Client())
    clock.passed_s = 60
    await until(lambda: other.times_given_up)
    assert not client.times_given_up
    clock.passed_s = 119
    await until(lambda: client.times_given_up)


async def test_one_fails_when_it_is_given_up_the_others_are_not_forgotten(clock: LoopClock) -> None:
    loop = asyncio.get_running_loop()
    raised: list[object] = []
    loop.set_exception_handler(lambda _loop, context: raised.append(context["exception"]))
    patience = Patience(loop, timeout_s=60)
    failing, client = Failing(), Client()
    patience.begin(failing)
    patience.begin(client)
    clock.passed_s = 60
    await until(lambda: client.times_given_up)
    assert failing.times_given_up == len(raised) == 1


async def test_closed_nobody_is_given_up(clock: LoopClock) -> None:
    patience = Patience(asyncio.get_running_loop(), timeout_s=60)
    client = Client()
    patience.begin(client)
    patience.close()
    clock.passed_s = 120
    await turns(5)
    assert not client.times_given_up
