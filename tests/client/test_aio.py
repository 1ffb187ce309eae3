"""What only the asyncio client can do: be cancelled, and be used by several tasks."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING

import pytest

from tests.client.scripted_server import OK, RED, Peer, ScriptedServer, silence
from usbmux.client import tracker
from usbmux.client.aio import AsyncClient
from usbmux.client.device import Device, DeviceAttached
from usbmux.control.message import Attached, Listen
from usbmux.errors import DaemonUnavailableError

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

    def again(peer: Peer) -> None:
        assert peer.next_request() == Listen()
        loop.call_soon_threadsafe(asked.set)
        peer.expect_hang_up()

    server.play(lambda peer: peer.answer(Listen(), OK), again)
    watch = AsyncClient(server.address).watch(reconnect=True)
    task = asyncio.create_task(watch.wait_event())
    await asked.wait()
    await watch.close()
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
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.asyncio
async def test_watch_dropped_before_the_daemon_has_answered_hangs_up(server: ScriptedServer) -> None:
    server.play(silence)
    watch = AsyncClient(server.address).watch()
    assert await watch.wait_event(0.01) is None
    assert len(asyncio.all_tasks()) == 2
    del watch
    gc.collect()
    await asyncio.to_thread(server.finish)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.asyncio
async def test_watch_left_by_break_and_dropped_hangs_up_without_complaint(
    server: ScriptedServer, recwarn: pytest.WarningsRecorder
) -> None:
    def script(peer: Peer) -> None:
        peer.answer(Listen(), OK, Attached(RED))
        peer.expect_hang_up()

    server.play(script)
    async for _ in AsyncClient(server.address).watch():
        break
    gc.collect()
    await asyncio.to_thread(server.finish)
    assert recwarn.list == []


@pytest.mark.asyncio
async def test_watch_closed_before_the_daemon_has_answered_leaves_no_task(server: ScriptedServer) -> None:
    server.play(silence)
    watch = AsyncClient(server.address).watch()
    assert await watch.wait_event(0.01) is None
    await watch.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.asyncio
async def test_watch_whose_entering_is_cancelled_hangs_up_and_leaves_no_task(server: ScriptedServer) -> None:
    server.play(silence)
    watch = AsyncClient(server.address).watch()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.__aenter__(), 0.01)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await asyncio.to_thread(server.finish)


@pytest.mark.asyncio
async def test_watch_that_fails_while_nobody_waits_tells_the_next_wait_only(server: ScriptedServer) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    hang_up = threading.Event()

    def script(_: Peer) -> None:
        assert hang_up.wait(10)

    server.play(script, script)
    told, dropped = (AsyncClient(server.address).watch() for _ in range(2))
    assert await told.wait_event(0.01) is None
    assert await dropped.wait_event(0.01) is None
    hang_up.set()
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    with pytest.raises(DaemonUnavailableError):
        await told.wait_event(0)
    del dropped
    gc.collect()
    assert complaints == []
