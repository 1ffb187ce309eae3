"""What one client costs does not depend on how many other clients, connections and phones there are.

Counted in steps of our code and of the event loop (see tests/support/steps.py), in a daemon with simulated phones, so
no clock decides. Each piece of work is done several times and the least is taken: what is due once in a hundred times,
as the loop's clearing of cancelled timers, is shared by those hundred.
"""

from __future__ import annotations

import asyncio
import select
import selectors
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import HeldPort, connect_request, encode, turns
from tests.support.steps import OUR_CODE, StepCounter
from usbmux.mux.settings import MuxSettings
from usbmux.testing import SimulatedPhone, echo

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tests.daemon.conftest import Serve
    from tests.daemon.harness import Harness, RawClient

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll on this system, and then it does")

ECHO, HELD, CLOSED = 7, 8, 9
MANY, PHONES = 512, 64
TIMES = 4
TURNS = 40
"""Of the loop; more than any of the works needs."""
LOOP = str(Path(asyncio.__file__).parent), str(selectors.__file__)
LATER_S = 3600
"""After the end of the test."""
# What has a time is due at once or not at all: otherwise the clock decides into whose count it comes.
SETTINGS = MuxSettings(
    acknowledge_delay_s=0,
    handshake_timeout_s=LATER_S,
    version_repeat_s=LATER_S,  # its timer stays when the phone has answered, and comes up with nothing to do
    packet_timeout_s=LATER_S,
    syn_timeout_s=LATER_S,
    zero_window_probe_s=LATER_S,
    longest_zero_window_probe_s=LATER_S,
    linger_s=LATER_S,
    quarantine_s=LATER_S,
)
TIMERS = "TimerHandle.__lt__"
"""Of the loop's heap of timers: their number grows with the logarithm of its length."""
SLACK = 10
ENOUGH_TIMERS = 128
"""From a hundred timers on, the loop asks itself a question more in each turn."""
MESSAGE = bytes(64)
LIST = encode({"MessageType": "ListDevices"})
Steps = dict[str, int]


def phone(number: int) -> SimulatedPhone:
    return SimulatedPhone(f"00008110-{number:016X}", ports={ECHO: echo, HELD: HeldPort()})


class Works:
    """All that a client and a phone can make the daemon do, once each."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.spare = phone(0)
        self.stream: RawClient
        self.opened: RawClient
        self.kept: RawClient
        self.newcomer: RawClient

    async def start(self) -> None:
        self.stream = await self.harness.stream(ECHO)
        self.kept = await self.harness.client()

    async def echo(self) -> None:
        await self.stream.send(MESSAGE)
        await self.stream.receive_exactly(len(MESSAGE))

    async def connect(self) -> None:
        self.opened = await self.harness.client()
        await self.opened.connect(ECHO)

    async def close(self) -> None:
        self.opened.close()

    async def be_refused(self) -> None:
        self.opened = await self.harness.client()
        await self.opened.send(connect_request(1, CLOSED))
        await self.opened.expect_result(3)
        self.opened.close()

    async def list(self) -> None:
        await self.kept.send(LIST)
        await self.kept.receive_frame()

    async def listen(self) -> None:
        self.newcomer = await self.harness.client()
        await self.newcomer.listen()

    async def stop_listening(self) -> None:
        self.newcomer.close()

    async def attach(self) -> None:
        self.harness.bus.plug(self.spare)

    async def detach(self) -> None:
        self.harness.bus.unplug(self.spare)

    def in_order(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        clients = self.echo, self.connect, self.close, self.be_refused, self.list, self.listen, self.stop_listening
        return (*clients, self.attach, self.detach)


async def connections(harness: Harness, count: int) -> None:
    for _ in range(count):
        await harness.stream(HELD)


async def listeners(harness: Harness, count: int) -> None:
    for _ in range(count):
        client = await harness.client()
        await client.listen()


async def silent_clients(harness: Harness, count: int) -> None:
    for _ in range(count):
        client = await harness.client()
        await client.send(LIST)  # between requests they may be silent for as long as they want
        await client.receive_frame()


Crowd = Callable[["Harness", int], "Awaitable[None]"]


async def steps_beside(serve: Serve, phones: int, crowd: Crowd, count: int) -> Steps:
    """What each work takes beside a crowd."""
    timers = [asyncio.get_running_loop().call_later(LATER_S, str) for _ in range(ENOUGH_TIMERS)]
    harness = await serve(*map(phone, range(1, phones + 1)), mux=SETTINGS)
    await harness.attached()
    await crowd(harness, count)
    works = Works(harness)
    await works.start()
    await turns()
    least: dict[str, int] = {}
    for _ in range(TIMES):
        for work in works.in_order():
            counter = StepCounter(OUR_CODE, *LOOP, without=f"{OUR_CODE}/testing")
            with counter.counting():
                await work()
                await turns(TURNS)
            found = counter.places.total() - counter.places[TIMERS]
            least[work.__name__] = min(found, least.get(work.__name__, found))
    await harness.stop()
    for timer in timers:
        timer.cancel()
    return least


def growth(few: Steps, many: Steps) -> dict[str, int]:
    """By work, how many steps more there are; a few do not count, as what is new or empty only once."""
    return {work: more for work in many if (more := many[work] - few[work]) > SLACK}


@pytest.mark.asyncio
@pytest.mark.parametrize("crowd", [connections, silent_clients])
async def test_many_others_are_there_no_work_takes_more_steps(serve: Serve, crowd: Crowd) -> None:
    assert growth(await steps_beside(serve, 1, crowd, 0), await steps_beside(serve, 1, crowd, MANY)) == {}


@pytest.mark.asyncio
async def test_many_listen_only_telling_them_takes_more_steps(serve: Serve) -> None:
    none, one, many = [await steps_beside(serve, 1, listeners, count) for count in (0, 1, MANY)]
    assert growth(none, many).keys() == {"attach", "detach"}
    for work in ("attach", "detach"):
        assert many[work] - none[work] <= MANY * (one[work] - none[work])


@pytest.mark.asyncio
async def test_64_phones_only_naming_them_takes_more_steps(serve: Serve) -> None:
    # Three, because what is the same for all phones may differ by a step between one and more.
    two, three, many = [await steps_beside(serve, count, silent_clients, 0) for count in (2, 3, PHONES)]
    assert growth(two, many).keys() == {"list", "listen"}
    for work in ("list", "listen"):
        assert many[work] - two[work] <= (PHONES - 2) * (three[work] - two[work])
