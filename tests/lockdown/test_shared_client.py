"""A client of lockdown that several tasks use at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from usbmux.client.aio import AsyncClient
from usbmux.testing import RunningDaemon
from usbmux.testing.iphone import LockdownFaults, VirtualIPhone

if TYPE_CHECKING:
    from usbmux.lockdown.aio import AsyncLockdownClient

pytestmark = pytest.mark.slow

KEYS = ("DeviceName", "ProductType", "ProductVersion", "BuildVersion", "UniqueDeviceID")
SLOW = LockdownFaults(delay_s=0.02)
"""So slow that all have asked before the first is answered."""


async def told_at_once(lockdown: AsyncLockdownClient) -> list[object]:
    """What the phone tells of each key, asked all at the same time."""
    async with asyncio.timeout(20):
        return await asyncio.gather(*map(lockdown.value, KEYS))


@pytest.mark.parametrize("is_connected", [False, True])
def test_phone_asked_by_several_tasks_gives_each_its_own_answer(*, is_connected: bool) -> None:
    phone = VirtualIPhone(faults=SLOW)

    async def ask(client: AsyncClient) -> list[object]:
        async with client.lockdown() as lockdown:
            if is_connected:
                await lockdown.query_type()
            told = await told_at_once(lockdown)
            assert phone.lockdown.connection_count == 1
            return told

    with RunningDaemon([phone]) as daemon:
        assert asyncio.run(ask(AsyncClient(daemon.address))) == [phone.values.value(key) for key in KEYS]


def test_session_of_several_tasks_stays_theirs() -> None:
    phone = VirtualIPhone()

    async def ask(client: AsyncClient) -> list[object]:
        async with client.lockdown() as lockdown:
            await lockdown.pair()
            await lockdown.start_session()
            phone.lockdown.faults = SLOW
            return [*await told_at_once(lockdown), await lockdown.value("SerialNumber")]

    with RunningDaemon([phone]) as daemon:
        told = asyncio.run(ask(AsyncClient(daemon.address)))
    assert told == [phone.values.value(key) for key in (*KEYS, "SerialNumber")]
