"""com.apple.mobile.heartbeat over a stream in memory."""

import asyncio

import pytest

from tests.testing.iphone.services.scene import served
from usbmux.testing.iphone.services.heartbeat import Heartbeat


@pytest.mark.asyncio
async def test_host_answers_called_again() -> None:
    async with served(Heartbeat(interval_s=0)) as host:
        for _ in range(5):
            assert await host.receive() == {"Command": "Marco", "Interval": 1}
            await host.send({"Command": "Polo"}, binary=True)


@pytest.mark.asyncio
async def test_call_says_the_interval_in_whole_seconds() -> None:
    async with served(Heartbeat(interval_s=9.7)) as host:
        assert await host.receive() == {"Command": "Marco", "Interval": 10}


@pytest.mark.asyncio
async def test_host_does_not_answer_in_time_left() -> None:
    async with served(Heartbeat(patience_s=0)) as host:
        await host.receive()
        assert await host.receive() == {"Command": "SleepyTime"}
        assert await host.is_left()


@pytest.mark.asyncio
async def test_host_answers_something_else_left() -> None:
    async with served(Heartbeat()) as host:
        await host.receive()
        await host.send({"Command": "Pong"})
        assert await host.is_left()


@pytest.mark.asyncio
async def test_host_ends_instead_of_answering_service_ends() -> None:
    async with served(Heartbeat()) as host:
        await host.receive()
        host.end()


@pytest.mark.asyncio
async def test_host_ends_after_its_answer_service_ends() -> None:
    async with served(Heartbeat(interval_s=0)) as host:
        await host.receive()
        await host.send({"Command": "Polo"})
        host.end()
        await asyncio.sleep(0)
