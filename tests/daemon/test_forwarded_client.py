"""A program that came by a kept forward, until it is joined with the phone's port."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.daemon.forwards import add, program_by
from tests.daemon.harness import UDID, until
from usbmux.daemon import forwarded_client
from usbmux.daemon.counts import ConnectResult
from usbmux.testing import AcceptsLate, SimulatedPhone, echo

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve
    from tests.daemon.harness import Harness
    from usbmux.testing import PhoneStream

pytestmark = pytest.mark.asyncio


async def _is_asked(harness: Harness) -> None:
    await until(lambda: any(client.owner.connection(0, 0) for client in harness.daemon.clients))


async def test_phone_is_pulled_after_long_asking_program_is_sent_away_in_the_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarded_client, "WAIT_S", 0.05)
    phone = SimulatedPhone(UDID, ports={7: AcceptsLate(echo)})
    harness = await serve(phone)
    await harness.attached()
    program = await program_by(harness, await add(harness))
    await _is_asked(harness)
    await asyncio.sleep(0.1)  # longer than it waits for a phone
    harness.bus.unplug(phone)
    assert await program.receive_to_end() == b""
    await until(lambda: not list(harness.daemon.clients))
    assert harness.daemon.counts.connects[ConnectResult.NO_PHONE] == 1


async def test_link_begins_anew_while_the_phone_is_asked_program_is_joined_then(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarded_client, "AGAIN_S", 0.01)
    asked = 0

    async def second_time(stream: PhoneStream) -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            stream.accept()
            await echo(stream)
        await asyncio.Event().wait()

    harness = await serve(SimulatedPhone(UDID, ports={7: AcceptsLate(second_time)}))
    await harness.attached()
    program = await program_by(harness, await add(harness))
    await until(lambda: asked == 1)
    link = harness.daemon.registry.link(1)
    assert link is not None
    link.data_received([bytes(16)])
    await program.send(b"x")
    assert await program.receive_exactly(1) == b"x"


async def test_program_comes_while_the_link_begins_anew_it_is_joined_then(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarded_client, "AGAIN_S", 0.01)
    phone = SimulatedPhone(UDID, ports={7: echo})
    harness = await serve(phone)
    await harness.attached()
    listen = await add(harness)
    link = harness.daemon.registry.link(1)
    assert link is not None
    program = await program_by(harness, listen)
    link.data_received([bytes(16)])
    await program.send(b"x")
    assert await program.receive_exactly(1) == b"x"
    assert harness.daemon.counts.connects[ConnectResult.NOT_POSSIBLE] == 0
