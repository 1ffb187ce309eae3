from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.client.scripted_server import BLUE, OK, RED, STEP_S, Peer, ScriptedServer
from usbmux.client import tracker
from usbmux.client.blocking import Client
from usbmux.client.device import Device, DeviceAttached
from usbmux.client.listen_attempt import ListenAttempt
from usbmux.control.message import Attached, Listen
from usbmux.errors import DaemonUnavailableError, LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from usbmux.client.device import DeviceEvent
    from usbmux.client.watch import Watch

RED_ATTACHED = DeviceAttached(Device.from_record(RED))
BLUE_ATTACHED = DeviceAttached(Device.from_record(BLUE))
SHORT_S = 0.05


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


def test_daemon_breaks_the_protocol_at_the_start_entering_leaves_no_descriptors(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(peer: Peer) -> None:
        peer.next_request()
        peer.stream.sendall(bytes(16))
        peer.expect_hang_up()

    server.play(script)
    ends = socket.socketpair()  # of its bell
    monkeypatch.setattr(socket, "socketpair", lambda: ends)
    with ends[0], ends[1]:
        with pytest.raises(RemoteProtocolError), Client(server.address).watch():
            pass
        assert [end.fileno() for end in ends] == [-1, -1]


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


def closed_while_it_waits(watch: Watch, is_waiting: threading.Event) -> list[DeviceEvent]:
    """What a thread has iterated over when another one has closed the watch."""
    seen: list[DeviceEvent] = []
    failures: list[BaseException] = []

    def iterate() -> None:
        try:
            seen.extend(watch)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=iterate, daemon=True)
    thread.start()
    assert is_waiting.wait(STEP_S)
    thread.join(SHORT_S)  # until it waits in the system
    watch.close()
    thread.join(STEP_S)
    assert not thread.is_alive()
    assert failures == []
    return seen


def one_phone_then_silence(told: threading.Event) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        peer.answer(Listen(), OK, Attached(RED))
        told.set()
        peer.expect_hang_up()

    return script


def test_watch_closed_by_another_thread_ends_the_iteration(server: ScriptedServer) -> None:
    told = threading.Event()
    server.play(one_phone_then_silence(told))
    watch = Client(server.address).watch()
    assert closed_while_it_waits(watch, told) == [RED_ATTACHED]
    assert watch.wait_event() is None
    assert watch.fileno() == -1


def test_watch_closed_by_another_thread_before_the_daemon_has_answered_ends_the_iteration(
    server: ScriptedServer,
) -> None:
    def script(peer: Peer) -> None:
        peer.next_request()
        asked.set()
        peer.expect_hang_up()

    asked = threading.Event()
    server.play(script)
    assert closed_while_it_waits(Client(server.address, timeout_s=None).watch(), asked) == []


def test_watch_closed_by_another_thread_while_the_daemon_is_away_ends_the_iteration(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(peer: Peer) -> None:
        peer.answer(Listen(), OK, Attached(RED))
        told.set()

    told = threading.Event()
    monkeypatch.setattr(tracker, "FIRST_DELAY_S", 60.0)
    server.play(script)
    assert closed_while_it_waits(Client(server.address).watch(reconnect=True), told) == [RED_ATTACHED]


def test_watch_closed_while_its_descriptors_are_used_closes_them_at_the_end_of_the_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def go_on(*_: object) -> None:
        watch.close()
        assert closed == []

    closed: list[ListenAttempt] = []
    monkeypatch.setattr(ListenAttempt, "go_on", go_on)
    monkeypatch.setattr(ListenAttempt, "close", lambda attempt: closed.append(attempt))
    watch = Client("/run/nobody").watch()
    assert watch.wait_event() is None
    assert len(closed) == 1


def test_watch_waited_for_by_two_threads_refuses_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    def go_on(*_: object) -> None:
        with pytest.raises(LocalProtocolError, match="another thread"):
            watch.wait_event(0)

    monkeypatch.setattr(ListenAttempt, "go_on", go_on)
    with contextlib.closing(Client("/run/nobody").watch()) as watch:
        assert watch.wait_event(0) is None


def test_watch_of_a_forked_process_is_closed_by_its_threads_alone(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    server.play(one_phone_then_silence(told))
    watch = Client(server.address).watch()
    assert watch.wait_event() == RED_ATTACHED
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as after a fork
    assert closed_while_it_waits(watch, told) == []


def test_watch_without_descriptors_left_raises_daemon_unavailable(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socketpair", fail)
    with pytest.raises(DaemonUnavailableError, match="Too many open files"):
        Client(server.address).watch().wait_event(0)
