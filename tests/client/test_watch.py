from __future__ import annotations

import select
from typing import TYPE_CHECKING

import pytest

from tests.client.scripted_server import BLUE, OK, RED, Peer, ScriptedServer
from usbmux.client import tracker
from usbmux.client.blocking import Client
from usbmux.client.device import Device, DeviceAttached
from usbmux.control.message import Attached, Listen
from usbmux.errors import DaemonUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RED_ATTACHED = DeviceAttached(Device.from_record(RED))
BLUE_ATTACHED = DeviceAttached(Device.from_record(BLUE))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ScriptedServer]:
    server = ScriptedServer.on_unix(tmp_path)
    yield server
    server.finish()


def test_descriptor_is_readable_when_there_is_news(server: ScriptedServer) -> None:
    def script(peer: Peer) -> None:
        peer.answer(Listen(), OK)
        peer.notify(Attached(RED), Attached(BLUE))
        peer.expect_hang_up()

    server.play(script)
    with Client(server.address).watch() as watch:
        assert select.select([watch], [], [], 10) == ([watch], [], [])
        assert watch.wait_event() == RED_ATTACHED
        assert watch.wait_event() == BLUE_ATTACHED
        assert watch.wait_event(0) is None
        assert select.select([watch], [], [], 0) == ([], [], [])
    assert watch.fileno() == -1


def test_iteration_closed_from_its_own_body_ends(server: ScriptedServer) -> None:
    server.play(lambda peer: peer.answer(Listen(), OK, Attached(RED), Attached(BLUE)))
    watch = Client(server.address).watch()
    seen = []
    for event in watch:
        seen.append(event)
        watch.close()
    assert seen == [RED_ATTACHED]


def test_descriptor_while_the_daemon_is_away_is_missing(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "FIRST_DELAY_S", 60.0)
    server.play(lambda peer: peer.answer(Listen(), OK))
    with Client(server.address).watch(reconnect=True) as watch:
        select.select([watch], [], [], 10)
        assert watch.wait_event(0) is None
        with pytest.raises(DaemonUnavailableError, match="away"):
            watch.fileno()
