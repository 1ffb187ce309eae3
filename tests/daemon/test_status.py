"""Who is served and what the streams do, as the admin socket tells it."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.daemon.harness import UDID, Harness, HeldPort, turns, until
from usbmux.admin.message import CLIENTS_A_PAGE, ConnectionState
from usbmux.control.address import TcpAddress, UnixAddress
from usbmux.daemon import stalls
from usbmux.daemon.admin import MAX_ADMIN_CLIENTS
from usbmux.daemon.client_table import connections_of
from usbmux.daemon.peer import Peer
from usbmux.testing import PhoneOptions, SimulatedPhone, echo, source

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve

pytestmark = pytest.mark.asyncio

MEBIBYTE = 1 << 20
WINDOW = 131072
Answer = dict[str, Any]


async def ask(harness: Harness, *parts: str, after: int = 0) -> Answer:
    client = await harness.admin()
    await client.send(json.dumps({"command": "status", "parts": parts, "after": after}).encode() + b"\n")
    answer: Answer = json.loads(await client.receive_line())
    client.close()
    assert answer.pop("ok") is True
    del answer["version"]
    return answer


def is_waiting(waits: stalls.Stalls) -> bool:
    return waits.until(1e12) != waits.until(2e12)


def states(harness: Harness) -> list[ConnectionState]:
    return [connection.state for connection in connections_of(harness.daemon.clients, 0)]


async def the_connection(harness: Harness) -> Answer:
    answer = await ask(harness, "connections")
    (connection,) = answer["connections"]
    assert answer == {"connections": [connection]}
    assert isinstance(connection, dict)
    return connection


async def test_clients_are_about_everything_each_is_told_with_who_it_is(serve: Serve, tmp_path: object) -> None:
    addresses = (UnixAddress(f"{tmp_path}/one"), TcpAddress("127.0.0.1", 0))
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}), addresses=addresses)
    await harness.stream(7)
    await (await harness.client(1)).listen()
    await harness.client()
    await until(lambda: len(list(harness.daemon.clients)) == 3)
    answer = await ask(harness, "clients")
    assert answer.keys() == {"clients"}
    ages = [client.pop("age_s") for client in answer["clients"]]
    assert ages == sorted(ages, reverse=True)
    assert ages[-1] >= 0
    us = Peer(pid=os.getpid())
    known = {"uid": os.getuid(), "gid": os.getgid(), "pid": os.getpid(), "program": us.program}
    assert answer["clients"] == [
        {"number": 1, "address": str(addresses[0]), "what": "stream", **known},
        {
            **{"number": 2, "address": str(harness.daemon.addresses[1]), "what": "listening"},
            **dict.fromkeys(known),
        },
        {"number": 3, "address": str(addresses[0]), "what": "request", **known},
    ]


async def test_phone_does_not_answer_connecting_client_has_a_connection(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, options=PhoneOptions(answer_syn=False)))
    await harness.connecting(7)
    connection = await the_connection(harness)
    assert connection.pop("age_s") >= 0
    assert connection == {
        **{"client": 1, "udid": UDID, "port": 7, "local_port": 1, "state": "syn_sent", "send_room": 0},
        **{"bytes_to_phone": 0, "bytes_from_phone": 0, "backlog": 0},
        **{"phone_stalls": 0, "phone_stalled_s": 0.0, "client_stalls": 0, "client_stalled_s": 0.0},
    }


async def test_stream_has_moved_bytes_they_are_counted_each_way(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={19: port}))
    client = await harness.stream(19)
    await client.send(b"question")
    stream = await port.stream()
    assert await stream.readexactly(8) == b"question"
    await stream.write(bytes(30_000))
    await client.receive_exactly(30_000)
    connection = await the_connection(harness)
    assert (connection["client"], connection["udid"], connection["port"]) == (1, UDID, 19)
    assert (connection["bytes_to_phone"], connection["bytes_from_phone"]) == (8, 30_000)
    assert (connection["backlog"], connection["client_stalls"], connection["phone_stalls"]) == (0, 0, 0)


async def test_client_does_not_take_backlog_and_stall_are_shown_until_it_does(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalls, "SHORTEST_S", 0.0)  # so that the test does not have to wait
    harness = await serve(SimulatedPhone(UDID, ports={19: source}))
    client = await harness.stream(19, is_slow=True)
    await client.send((4 * MEBIBYTE).to_bytes(8))
    await turns(2000)
    before = await the_connection(harness)
    assert (before["state"], before["backlog"], before["phone_stalls"]) == ("established", WINDOW, 0)
    assert before["client_stalls"] >= 1
    later = await the_connection(harness)
    assert later["client_stalls"] == before["client_stalls"]
    await client.receive_exactly(4 * MEBIBYTE)
    await until(lambda: harness.daemon.counts.stalls.client_stalls)
    assert harness.daemon.counts.stalls.client_stalls >= before["client_stalls"]
    assert not list(harness.daemon.clients)  # the phone has closed


async def test_client_has_taken_all_it_is_waited_for_no_longer(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "SHORTEST_S", 0.0)
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}))
    client = await harness.stream(7, is_slow=True)
    stream = await port.stream()
    writing = asyncio.create_task(stream.write(bytes(2 * MEBIBYTE)))
    (traffic,) = harness.daemon.clients.traffic()
    await until(lambda: is_waiting(traffic.client_stalls))
    await client.receive_exactly(2 * MEBIBYTE)
    await writing
    await until(lambda: not is_waiting(traffic.client_stalls))
    assert traffic.client_stalls.until(0)[0] >= 1
    assert (await the_connection(harness))["backlog"] == 0


async def test_phone_has_no_room_from_the_start_it_is_waited_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "SHORTEST_S", 0.0)
    harness = await serve(SimulatedPhone(UDID, ports={7: HeldPort()}, options=PhoneOptions(window=0)))
    await harness.stream(7)
    connection = await the_connection(harness)
    assert (connection["send_room"], connection["phone_stalls"]) == (0, 1)


async def test_phone_does_not_take_no_room_and_a_stall_are_shown_until_it_does(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalls, "SHORTEST_S", 0.0)
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}, options=PhoneOptions(window=65536)))
    client = await harness.stream(7)
    assert (await the_connection(harness))["send_room"] == 65536
    sending = asyncio.create_task(client.send(bytes(MEBIBYTE)))
    await turns(2000)
    shut = await the_connection(harness)
    assert (shut["send_room"], shut["bytes_to_phone"], shut["phone_stalls"]) == (0, 65536, 1)
    stream = await port.stream()
    await stream.readexactly(MEBIBYTE)
    await sending
    await until(lambda: next(harness.daemon.clients.traffic()).bytes_to_phone == MEBIBYTE)
    await turns()
    opened = await the_connection(harness)
    assert opened["bytes_to_phone"] == MEBIBYTE
    assert opened["send_room"] > 0
    assert opened["phone_stalls"] >= 1
    (traffic,) = harness.daemon.clients.traffic()
    assert not is_waiting(traffic.phone_stalls)
    port.end()


async def test_client_has_gone_its_connection_is_shown_draining(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}))
    client = await harness.stream(7)
    stream = await port.stream()
    await client.send(bytes(1000))
    client.shut_down_writing()
    await until(lambda: states(harness) == [ConnectionState.HALF_CLOSED])
    client.close()
    await until(lambda: states(harness) == [ConnectionState.DRAINING])
    assert (await the_connection(harness))["state"] == "draining"
    assert await stream.readexactly(1000) == bytes(1000)
    port.end()


async def test_clients_are_many_they_come_in_pages(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    count = CLIENTS_A_PAGE + 2
    for _ in range(count - 1):
        await harness.client()
    await harness.stream(7)
    await until(lambda: len(list(harness.daemon.clients)) == count)
    first = await ask(harness, "phones", "clients", "connections")
    assert [client["number"] for client in first["clients"]] == list(range(1, CLIENTS_A_PAGE + 1))
    assert (first["next_after"], first["connections"], len(first["phones"])) == (CLIENTS_A_PAGE, [], 1)
    second = await ask(harness, "clients", "connections", after=first["next_after"])
    assert [client["number"] for client in second["clients"]] == [CLIENTS_A_PAGE + 1, CLIENTS_A_PAGE + 2]
    assert [connection["client"] for connection in second["connections"]] == [count]
    assert second.keys() == {"clients", "connections"}
    assert (await ask(harness, "phones")).keys() == {"phones"}


async def test_admin_clients_are_too_many_the_next_is_told_so(serve: Serve) -> None:
    harness = await serve()
    kept = [await harness.admin() for _ in range(MAX_ADMIN_CLIENTS)]
    refused = await harness.admin()
    assert json.loads(await refused.receive_to_end()) == {
        "ok": False,
        "error": "32 admin clients are connected, which is the limit",
    }
    kept.pop().close()
    await turns()
    assert await ask(harness, "phones") == {"phones": []}
    await harness.quiet()
