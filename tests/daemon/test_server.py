"""The end of a daemon: whatever its clients are at, nothing is left of it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import UDID, Harness, HeldPort, connect_request, encode, open_descriptors, turns
from usbmux.control.address import Address, TcpAddress
from usbmux.daemon.pairing import PairRecordStore
from usbmux.testing import PhoneOptions, SimulatedPhone, echo, source

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve

pytestmark = pytest.mark.asyncio

TCP: tuple[Address, ...] = (TcpAddress("127.0.0.1", 0),)
both_families = pytest.mark.parametrize("addresses", [(), TCP], ids=["unix", "tcp"])


async def close(harness: Harness) -> None:
    """End the daemon; only the sockets of the clients may stay open."""
    await harness.daemon.close()
    await turns(5)
    left = {name.partition(":")[0] for name in open_descriptors() - harness.before}
    assert left == {str(client.sock.fileno()) for client in harness.clients}
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_not_used_closed_twice_nothing_is_left(serve: Serve) -> None:
    harness = await serve()
    await close(harness)
    await close(harness)


@both_families
async def test_clients_of_every_kind_closed_each_sees_the_end(serve: Serve, addresses: tuple[Address, ...]) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}), addresses=addresses)
    stream, listener, idle = await harness.stream(7), await harness.client(), await harness.client()
    await listener.listen()
    await listener.receive_properties(tag=0)
    await idle.request({"MessageType": "ListDevices"})
    await close(harness)
    for client in (stream, listener, idle):
        assert await client.receive_to_end() == b""


@both_families
async def test_client_has_not_read_everything_closed_it_is_let_go(serve: Serve, addresses: tuple[Address, ...]) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={19: source}), addresses=addresses)
    client = await harness.stream(19, is_slow=True)
    await client.send((16 << 20).to_bytes(8))
    await turns(2000)
    await close(harness)


@both_families
async def test_phone_has_reset_and_client_has_not_read_everything_closed_it_is_let_go(
    serve: Serve, addresses: tuple[Address, ...]
) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={19: source}), addresses=addresses)
    client = await harness.stream(19, is_slow=True)
    await client.send((400_000).to_bytes(8))
    await turns(2000)
    await close(harness)


async def test_phone_does_not_take_input_of_a_client_that_is_gone_closed_it_is_let_go(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port}, options=PhoneOptions(window=4096)))
    client = await harness.stream(7)
    await client.send(bytes(100_000))
    client.close()
    harness.clients.clear()
    await turns()
    port.end()
    await close(harness)


async def test_connecting_with_requests_behind_closed_client_sees_the_end(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, options=PhoneOptions(answer_syn=False)))
    await harness.attached()
    client = await harness.client()
    await client.send(connect_request(1, 7) * 3)
    await turns(20)
    await close(harness)
    assert await client.receive_to_end() == b""


async def test_file_system_is_slow_closed_nothing_waits_for_it(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    may_answer = threading.Event()
    asked = threading.Event()

    def slow(_store: PairRecordStore) -> str:
        asked.set()
        may_answer.wait(20)
        return "late"

    monkeypatch.setattr(PairRecordStore, "buid", slow)
    harness = await serve()
    client = await harness.client()
    await client.send(encode({"MessageType": "ReadBUID"}))
    while not asked.is_set():  # noqa: ASYNC110
        await asyncio.sleep(0)
    await close(harness)
    assert await client.receive_to_end() == b""
    may_answer.set()


async def test_closed_while_phones_are_at_every_stage_nothing_is_left(serve: Serve) -> None:
    for count in range(12):
        phones = [SimulatedPhone(f"{number:040x}", version=number % 2 + 1) for number in range(3)]
        harness = await serve(*phones)
        await turns(count)
        await close(harness)
