"""Works that run side by side until one has ended."""

import asyncio

import pytest

from tests.testing.iphone.services.scene import settle
from usbmux.testing.iphone.services.race import until_one_ends


async def forever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("forever")


async def once() -> None:
    await asyncio.sleep(0)


async def fail() -> None:
    raise ConnectionResetError("gone")


@pytest.mark.asyncio
async def test_two_works_one_ends_the_other_cancelled() -> None:
    ended: list[str] = []
    await until_one_ends(forever(ended), once())
    assert ended == ["forever"]


@pytest.mark.asyncio
async def test_two_works_one_fails_its_error_raised() -> None:
    ended: list[str] = []
    with pytest.raises(ConnectionResetError, match="gone"):
        await until_one_ends(forever(ended), fail())
    assert ended == ["forever"]


@pytest.mark.asyncio
async def test_two_works_cancelled_both_cancelled() -> None:
    ended: list[str] = []
    race = asyncio.create_task(until_one_ends(forever(ended), forever(ended)))
    await settle()
    race.cancel()
    with pytest.raises(asyncio.CancelledError):
        await race
    assert ended == ["forever", "forever"]
