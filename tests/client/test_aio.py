"""What only the asyncio client can do: be cancelled, and be used by several tasks."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from tests.client.scripted_server import OK, RED, Peer, ScriptedServer
from usbmux.client import tracker
from usbmux.client.aio import AsyncClient
from usbmux.client.device import Device, DeviceAttached
from usbmux.control.message import Attached, Listen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ScriptedServer]:
    server = ScriptedServer.on_unix(tmp_path)
    yield server
    server.finish()


@pytest.mark.asyncio
async def test_request_cancelled_hangs_up(server: ScriptedServer) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def script(peer: Peer) -> None:
        peer.next_request()
        loop.call_soon_threadsafe(asked.set)
        peer.expect_hang_up()

    server.play(script)
    task = asyncio.create_task(AsyncClient(server.address).devices())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(server.finish)


@pytest.mark.asyncio
async def test_watch_closed_by_another_task_ends_the_iteration(server: ScriptedServer) -> None:
    def script(peer: Peer) -> None:
        peer.answer(Listen(), OK, Attached(RED))
        peer.expect_hang_up()

    server.play(script)
    watch = AsyncClient(server.address).watch()
    seen = asyncio.Event()
    events = []

    async def consume() -> None:
        async for event in watch:
            events.append(event)
            seen.set()

    task = asyncio.create_task(consume())
    await seen.wait()
    await watch.close()
    await asyncio.wait_for(task, 10)
    assert events == [DeviceAttached(Device.from_record(RED))]


@pytest.mark.asyncio
async def test_watch_closed_by_another_task_while_it_reconnects_hangs_up(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "FIRST_DELAY_S", 0.001)
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    closed = threading.Event()

    def again(peer: Peer) -> None:
        assert peer.next_request() == Listen()
        loop.call_soon_threadsafe(asked.set)
        assert closed.wait(10)
        peer.stream.sendall(peer.session.reply(OK))
        peer.expect_hang_up()

    server.play(lambda peer: peer.answer(Listen(), OK), again)
    watch = AsyncClient(server.address).watch(reconnect=True)
    task = asyncio.create_task(watch.wait_event())
    await asked.wait()
    await watch.close()
    closed.set()
    assert await asyncio.wait_for(task, 10) is None
    await asyncio.to_thread(server.finish)


@pytest.mark.asyncio
async def test_watch_closed_by_another_task_while_the_daemon_is_away_ends_without_a_connection(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "FIRST_DELAY_S", 0.05)
    server.play(lambda peer: peer.answer(Listen(), OK))
    watch = AsyncClient(server.address).watch(reconnect=True)
    task = asyncio.create_task(watch.wait_event())
    await asyncio.to_thread(server.finish)
    await watch.close()
    assert await asyncio.wait_for(task, 10) is None
