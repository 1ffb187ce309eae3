"""Clients that do what is allowed, but so that others would pay for it."""

from __future__ import annotations

import asyncio
import logging
import os
import plistlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import UDID, Properties, encode, turns
from usbmux.daemon import unread
from usbmux.daemon.client_link import REQUEST_TIMEOUT_S, REQUESTS_A_TURN
from usbmux.daemon.log_budget import LINES
from usbmux.daemon.registry import MAX_LISTED
from usbmux.daemon.requests import RequestAnswerer
from usbmux.testing import SimulatedPhone

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve
    from tests.daemon.loop_clock import LoopClock
    from usbmux.control.message import Reply
    from usbmux.daemon.requests import Answerable, Asker, LaterReply

pytestmark = pytest.mark.asyncio

LONGEST = "&" * 255
"""The most that a client can say of itself, and five times as long in a property list."""


async def test_each_read_ends_amid_a_request_every_request_has_its_own_time(serve: Serve, clock: LoopClock) -> None:
    client = await (await serve()).client()
    request = encode({"MessageType": "ListDevices"})
    await client.send(request[:-1])
    for _ in range(4):
        clock.passed_s += REQUEST_TIMEOUT_S * 0.6
        await client.send(request[-1:] + request[:-1])
        assert await client.receive_properties(1) == {"DeviceList": []}


async def test_client_stops_amid_its_second_request_it_is_given_up(serve: Serve, clock: LoopClock) -> None:
    client = await (await serve()).client()
    request = encode({"MessageType": "ListDevices"})
    await client.send(request + request[:-1])
    assert await client.receive_properties(1) == {"DeviceList": []}
    await turns()
    clock.passed_s += REQUEST_TIMEOUT_S
    assert await client.receive() == b""


async def test_many_requests_come_at_once_they_are_answered_few_a_turn(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = await serve()
    client = await harness.client()
    answerer, turn = harness.daemon.answerer, 0
    answered_in_turn: Counter[int] = Counter()

    def answer(request: Answerable, asker: Asker) -> Reply | LaterReply:
        answered_in_turn[turn] += 1
        return RequestAnswerer.answer(answerer, request, asker)

    monkeypatch.setattr(answerer, "answer", answer)
    await client.send(b"".join(encode({"MessageType": "ListDevices"}, tag) for tag in range(100)))
    while answered_in_turn.total() < 100:
        await asyncio.sleep(0)
        turn += 1
        assert turn < 10_000
    assert max(answered_in_turn.values()) == REQUESTS_A_TURN
    for tag in range(100):
        assert await client.receive_properties(tag) == {"DeviceList": []}


@pytest.mark.parametrize("name", ["", LONGEST])
async def test_many_listeners_list_listeners_is_answered_with_a_bound(serve: Serve, name: str) -> None:
    harness = await serve()
    said: Properties = {"MessageType": "Listen", "ProgName": name, "BundleID": name}
    for _ in range(MAX_LISTED + 10):
        await (await harness.client()).request(said)
    client = await harness.client()
    await client.send(encode({"MessageType": "ListListeners"}))
    *_header, payload = await client.receive_frame()
    listed = plistlib.loads(payload)["ListenerList"]
    assert len(payload) < 128 * 1024
    assert len(listed) == MAX_LISTED if not name else len(payload) > 100 * 1024
    assert [entry["ID String"].split("-")[0] for entry in listed] == [str(1 + n) for n in range(len(listed))]


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ({"MessageType": "ReadPairRecord", "PairRecordID": "../x"}, "pair records: not a UDID: '../x'"),
        ({"MessageType": "DeletePairRecord", "PairRecordID": "x"}, "pair records: not a UDID: 'x'"),
    ],
    ids=["read", "delete"],
)
async def test_client_is_refused_again_and_again_log_names_it_and_stays_short(
    serve: Serve, caplog: pytest.LogCaptureFixture, request_: Properties, complaint: str
) -> None:
    client = await (await serve()).client()
    for _ in range(LINES + 50):
        await client.send(encode(request_))
        await client.expect_result(22)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == LINES
    assert warnings[0].startswith(f"client 1 (uid={os.getuid()} gid={os.getgid()} pid={os.getpid()} ")
    assert warnings[0].endswith(complaint)


async def test_listeners_of_one_user_leave_too_much_unread_together_they_are_cut_off_and_who_reads_is_not(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread, "MAX_UNREAD_OF_USER", 100_000)
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    registry = harness.daemon.registry
    keen, *deaf = [await harness.client() for _ in range(4)]
    for client in (keen, *deaf):
        await client.listen()
    await keen.receive_properties(tag=0)
    told = 0
    while len(registry.listeners()) == 1 + len(deaf):
        registry.paired(1, UDID)
        await keen.receive_properties(tag=0)
        told += 1
        assert told < 2000  # which is less than one of them may leave by itself
    assert "1-" in {listener.id_string for listener in registry.listeners()}
    await harness.quiet()
    assert not harness.daemon.unread.is_too_much(os.getuid(), 1)
