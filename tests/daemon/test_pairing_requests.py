"""Requests about pair records while the disk takes its time, and at the end of the daemon."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import plistlib
import threading
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.daemon.harness import OTHER_UDID, PATIENCE_S, UDID, Properties, encode, turns, until
from tests.support.threads import give_no_thread
from usbmux.daemon.client_link import ClientLink
from usbmux.daemon.counts import RecordAction, RecordResult
from usbmux.daemon.requests import RequestAnswerer
from usbmux.testing import SimulatedPhone, echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.daemon.conftest import Serve
    from tests.daemon.harness import Harness, RawClient
    from usbmux.control.message import Reply
    from usbmux.daemon.requests import Answerable, Asker, LaterReply

pytestmark = pytest.mark.asyncio

DELETE = encode({"MessageType": "DeletePairRecord", "PairRecordID": UDID})
READ_DONE = (RecordAction.READ, RecordResult.DONE)
OLD, NEW = plistlib.dumps({"HostID": "old"}), plistlib.dumps({"HostID": "new"})


class HeldDisk:
    """While it holds, nothing reaches the disk; `waiting` counts who waits for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting = 0
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._wait)

    def hold(self) -> None:
        self._goes_on.clear()

    def release(self) -> None:
        self._goes_on.set()

    def _wait(self, descriptor: int) -> None:
        self.waiting += 1
        assert self._goes_on.wait(PATIENCE_S)
        self.waiting -= 1
        self._fsync(descriptor)


@pytest_asyncio.fixture
async def disk(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HeldDisk]:
    """Takes `serve` so that it is released before the daemons are stopped."""
    held = HeldDisk(monkeypatch)
    yield held
    held.release()


def save(data: bytes, record_id: str = UDID, **more: object) -> bytes:
    return encode({"MessageType": "SavePairRecord", "PairRecordID": record_id, "PairRecordData": data, **more})


def read(record_id: str = UDID) -> Properties:
    return {"MessageType": "ReadPairRecord", "PairRecordID": record_id}


async def test_idle_saves_reads_and_delete_in_one_write_are_carried_out_in_order(serve: Serve) -> None:
    client = await (await serve()).client()
    await client.send(save(OLD) + encode(read()) + save(NEW) + encode(read()) + DELETE + encode(read()))
    for data in (OLD, NEW):
        await client.expect_result(0)
        assert await client.receive_properties(1) == {"PairRecordData": data}
    await client.expect_result(0)
    await client.expect_result(2)


async def test_save_waits_for_the_disk_reads_and_streams_do_not(serve: Serve, disk: HeldDisk) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    saver, next_saver, other = [await harness.client() for _ in range(3)]
    buid = await other.request({"MessageType": "ReadBUID"})
    await other.send(save(OLD))
    await other.expect_result(0)
    disk.hold()
    await saver.send(save(NEW))
    await until(lambda: disk.waiting)
    await next_saver.send(save(NEW, OTHER_UDID) + encode({"MessageType": "ListListeners"}))
    assert await other.request(read()) == {"PairRecordData": OLD}
    assert await other.request({"MessageType": "ReadBUID"}) == buid
    stream = await harness.stream(7)
    await stream.send(b"still moving")
    assert await stream.receive_exactly(12) == b"still moving"
    assert disk.waiting == 1
    disk.release()
    await saver.expect_result(0)
    await next_saver.expect_result(0)
    assert await next_saver.receive_properties(1) == {"ListenerList": []}
    assert await other.request(read()) == {"PairRecordData": NEW}
    assert await other.request(read(OTHER_UDID)) == {"PairRecordData": NEW}


async def test_save_waits_for_the_disk_closed_it_is_carried_out_and_the_next_is_not(
    serve: Serve, disk: HeldDisk
) -> None:
    harness = await serve()
    saver, _next_saver = await two_saves(harness, disk)
    closing = asyncio.create_task(harness.daemon.close())
    assert await saver.receive_to_end() == b""
    assert not closing.done()
    disk.release()
    await asyncio.wait_for(closing, PATIENCE_S)
    directory = harness.directory / "lockdown"
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == {f"{UDID}.plist": NEW}


async def test_no_thread_is_given_requests_are_answered_and_the_daemon_ends(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    client = await harness.client()
    give_no_thread(monkeypatch)
    for request_ in (encode({"MessageType": "ReadBUID"}), encode(read()), save(NEW), DELETE):
        await client.send(request_)
        await client.expect_result(errno.EAGAIN)
    await harness.stop()
    assert not harness.daemon.registry.records()


@pytest.mark.parametrize(
    "request_",
    [encode({"MessageType": "ReadBUID"}), encode(read()), save(NEW), DELETE],
    ids=["buid", "read", "save", "delete"],
)
async def test_asked_kicked_before_that_is_begun_it_is_dropped(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, request_: bytes
) -> None:
    harness = await serve()
    client = await harness.client()
    answerer = harness.daemon.answerer

    def answer(asked: Answerable, asker: Asker) -> Reply | LaterReply:
        assert isinstance(asker, ClientLink)
        asyncio.get_running_loop().call_soon(asker.close, "kicked")  # before the task that is made of the answer
        return RequestAnswerer.answer(answerer, asked, asker)

    monkeypatch.setattr(answerer, "answer", answer)
    await client.send(request_)
    assert await client.receive_to_end() == b""
    await turns()
    gc.collect()  # a coroutine that nobody has awaited is told of when it goes
    assert not (harness.directory / "lockdown").exists()
    assert not harness.daemon.counts.pair_records


async def test_save_waits_for_the_disk_its_client_goes_listeners_hear_paired(serve: Serve, disk: HeldDisk) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    listener, saver = await harness.client(), await harness.client()
    await listener.listen()
    await listener.receive_properties(0)
    disk.hold()
    await saver.send(save(NEW, DeviceID=1))
    await until(lambda: disk.waiting)
    saver.close()
    await turns()
    disk.release()
    assert await listener.receive_properties(0) == {"MessageType": "Paired", "DeviceID": 1}


async def test_save_waits_for_another_its_client_goes_it_is_carried_out(serve: Serve, disk: HeldDisk) -> None:
    harness = await serve()
    saver, next_saver = await two_saves(harness, disk)
    next_saver.close()
    await turns()
    disk.release()
    await saver.expect_result(0)
    other = await harness.client()
    await other.send(save(OLD))  # behind that of the client that has gone
    await other.expect_result(0)
    assert await other.request(read(OTHER_UDID)) == {"PairRecordData": NEW}
    assert harness.daemon.counts.pair_records == {(RecordAction.SAVE, RecordResult.DONE): 3, READ_DONE: 1}


async def test_save_waits_for_another_its_client_is_kicked_it_is_dropped(serve: Serve, disk: HeldDisk) -> None:
    harness = await serve()
    saver, next_saver = await two_saves(harness, disk)
    (_first, second) = harness.daemon.clients
    second.owner.close("kicked")
    assert await next_saver.receive_to_end() == b""
    disk.release()
    await saver.expect_result(0)
    other = await harness.client()
    await other.send(save(OLD))
    await other.expect_result(0)
    await other.send(encode(read(OTHER_UDID)))
    await other.expect_result(2)


async def two_saves(harness: Harness, disk: HeldDisk) -> tuple[RawClient, RawClient]:
    """Clients of which the first has a save that waits for the disk, and the second one that waits for the first."""
    saver, next_saver = await harness.client(), await harness.client()
    disk.hold()
    await saver.send(save(NEW))
    await until(lambda: disk.waiting)
    await next_saver.send(save(NEW, OTHER_UDID))
    await turns()
    return saver, next_saver


async def test_listening_save_fails_client_hears_nothing_of_it(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    listener, saver = await harness.client(), await harness.client()
    await listener.listen()
    await listener.receive_properties(0)
    await saver.send(save(b"no property list", DeviceID=1) + save(NEW, DeviceID=1))
    await saver.expect_result(22)
    await saver.expect_result(0)
    assert (await listener.receive_properties(0))["MessageType"] == "Paired"
    harness.bus.unplug(harness.phones[0])
    assert (await listener.receive_properties(0))["MessageType"] == "Detached"


async def test_link_in_place_of_a_record_requests_are_refused_and_connection_stays(serve: Serve) -> None:
    harness = await serve()
    outside = harness.directory / "secret.plist"
    outside.write_bytes(OLD)
    (harness.directory / "lockdown").mkdir(mode=0o700)
    (harness.directory / "lockdown" / f"{UDID}.plist").symlink_to(outside)
    client = await harness.client()
    await client.send(encode(read()) + save(NEW) + DELETE + encode({"MessageType": "ListListeners"}))
    for _ in range(3):
        assert (await client.receive_properties(1))["MessageType"] == "Result"
    assert await client.receive_properties(1) == {"ListenerList": []}
    assert outside.read_bytes() == OLD
