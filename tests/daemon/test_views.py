"""What a client sees and may do under the rules of the administrator and those of its socket."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, cast

import pytest
import pytest_asyncio

from tests.daemon.harness import UDID, Harness, RawClient, connect_request, encode, turns, until
from usbmux.control.address import UnixAddress
from usbmux.daemon import client_link
from usbmux.daemon.admission import ClientLimits
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.policy import Permission, RecordAccess, Rule
from usbmux.testing import SimulatedPhone, echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.asyncio

OTHER_UDID = "00008101-000E4D4E3CD2001E"
US = frozenset({os.getuid()})


class StartsHarness:
    """Starts daemons with two phones and a socket for each of these settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.harnesses: list[Harness] = []

    async def __call__(
        self,
        *permissions: Permission | None,
        rules: Sequence[Rule] = (),
        limits: ClientLimits | None = None,
    ) -> Harness:
        phones = [SimulatedPhone(UDID, ports={7: echo}), SimulatedPhone(OTHER_UDID, ports={7: echo})]
        harness = Harness(self.folder, phones)
        self.harnesses.append(harness)
        listen = [
            ListenSettings(UnixAddress(str(self.folder / f"socket{index}")), permission=permission)
            for index, permission in enumerate(permissions or [None])
        ]
        await harness.start(listen=listen, rules=rules, limits=limits)
        await harness.attached()
        return harness


@pytest_asyncio.fixture
async def start(tmp_path: Path) -> AsyncIterator[StartsHarness]:
    starts = StartsHarness(tmp_path)
    yield starts
    for harness in starts.harnesses:
        await harness.stop()


async def udids(client: RawClient) -> list[str]:
    """What ListDevices shows."""
    listed = await client.request({"MessageType": "ListDevices"})
    devices = cast(list[dict[str, dict[str, str]]], listed["DeviceList"])
    return [device["Properties"]["SerialNumber"] for device in devices]


async def number(client: RawClient, message: str, **properties: object) -> int:
    """The result of a request."""
    result = await client.request({"MessageType": message, **properties})
    assert result["MessageType"] == "Result"
    return cast(int, result["Number"])


async def test_socket_for_one_phone_shows_and_reaches_only_that(start: StartsHarness) -> None:
    harness = await start(None, Permission(udids=(OTHER_UDID,)))
    whole, partial = await harness.client(0), await harness.client(1)
    assert await udids(whole) == [UDID, OTHER_UDID]
    assert await udids(partial) == [OTHER_UDID]
    ids = {record.serial_number: record.device_id for record in harness.daemon.registry.records()}
    await partial.send(connect_request(ids[UDID], 7))
    await partial.expect_result(2)
    await partial.connect(7, ids[OTHER_UDID])
    await partial.send(b"ours")
    assert await partial.receive_exactly(4) == b"ours"


async def test_socket_for_one_phone_tells_of_its_coming_and_going_only(start: StartsHarness) -> None:
    harness = await start(Permission(udids=(OTHER_UDID,)))
    client = await harness.client()
    await client.listen()
    attached = await client.receive_properties(0)
    assert cast(dict[str, str], attached["Properties"])["SerialNumber"] == OTHER_UDID
    hidden, shown = harness.phones
    harness.bus.unplug(hidden)
    await harness.attached(1)
    harness.bus.plug(hidden)
    await harness.attached(2)
    harness.bus.unplug(shown)
    assert (await client.receive_properties(0))["MessageType"] == "Detached"


async def test_ports_others_are_refused_as_the_phone_would(start: StartsHarness) -> None:
    harness = await start(Permission(ports=((7, 7),)))
    client = await harness.client()
    await client.send(connect_request(1, 22))
    await client.expect_result(3)
    await client.connect(7)


@pytest.mark.parametrize(
    ("access", "read", "write"),
    [
        (RecordAccess.NONE, errno.EACCES, errno.EACCES),
        (RecordAccess.READ, errno.ENOENT, errno.EACCES),
        (RecordAccess.WRITE, errno.ENOENT, errno.ENOENT),
    ],
)
async def test_records_only_what_is_allowed(start: StartsHarness, access: RecordAccess, read: int, write: int) -> None:
    client = await (await start(Permission(records=access))).client()
    assert await number(client, "ReadPairRecord", PairRecordID=UDID) == read
    assert await number(client, "DeletePairRecord", PairRecordID=UDID) == write


async def test_records_of_a_hidden_phone_are_hidden_too(start: StartsHarness) -> None:
    client = await (await start(Permission(udids=(OTHER_UDID,)))).client()
    for message in ("ReadPairRecord", "DeletePairRecord"):
        assert await number(client, message, PairRecordID=UDID) == errno.EACCES
        assert await number(client, message, PairRecordID=OTHER_UDID) == errno.ENOENT


async def test_rule_for_us_decides_and_reconfigured_another_does(start: StartsHarness) -> None:
    harness = await start(rules=[Rule(Permission(udids=(UDID,)), uids=US), Rule(Permission())])
    before = await harness.client()
    assert await udids(before) == [UDID]
    harness.daemon.reconfigure([Rule(Permission(), uids=frozenset({4711}))], ClientLimits())
    assert await udids(await harness.client()) == []
    assert await udids(before) == [UDID]  # who was there keeps the view


async def test_listeners_are_shown_to_those_with_the_same_view(start: StartsHarness) -> None:
    harness = await start(None, Permission(udids=(OTHER_UDID,)))
    for index in (0, 1):
        listener = await harness.client(index)
        await listener.send(encode({"MessageType": "Listen", "ProgName": f"program{index}"}, 1))
        await listener.expect_result(0)
    await turns()

    async def programs(index: int) -> list[str]:
        listed = await (await harness.client(index)).request({"MessageType": "ListListeners"})
        return [listener["ProgName"] for listener in cast(list[dict[str, str]], listed["ListenerList"])]

    assert await programs(0) == ["program0", "program1"]
    assert await programs(1) == ["program1"]


async def test_too_many_clients_newcomer_is_closed_and_the_others_are_served(start: StartsHarness) -> None:
    harness = await start(limits=ClientLimits(total=3, for_each_uid=10))
    clients = [await harness.client() for _ in range(2)]
    stream = await harness.stream(7)
    refused = await harness.client()
    assert await refused.receive() == b""
    await stream.send(b"still here")
    assert await stream.receive_exactly(10) == b"still here"
    assert await udids(clients[0]) == [UDID, OTHER_UDID]
    stream.close()
    clients[1].close()
    await until(lambda: harness.daemon.client_count == 1)
    assert await udids(await harness.client()) == [UDID, OTHER_UDID]


@pytest.mark.parametrize("part", [b"", b"\x10", bytes.fromhex("20000000 01000000 08000000 01000000") + b"<plis"])
async def test_request_does_not_come_to_its_end_client_is_closed(
    start: StartsHarness, monkeypatch: pytest.MonkeyPatch, part: bytes
) -> None:
    monkeypatch.setattr(client_link, "REQUEST_TIMEOUT_S", 0.05)
    client = await (await start()).client()
    await client.send(part)
    assert await client.receive() == b""


async def test_between_requests_and_listening_a_client_may_take_its_time(
    start: StartsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_link, "REQUEST_TIMEOUT_S", 0.05)
    harness = await start()
    idle, listening, late = await harness.client(), await harness.client(), await harness.client()
    assert await udids(idle) == [UDID, OTHER_UDID]
    await listening.listen()
    assert await late.receive() == b""  # as long as the time lasts
    assert await udids(idle) == [UDID, OTHER_UDID]
    for _ in range(2):
        assert (await listening.receive_properties(0))["MessageType"] == "Attached"
