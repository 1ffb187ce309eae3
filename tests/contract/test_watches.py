"""What the watches of both clients promise, against a daemon that follows a script."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.client.scripted_server import BLUE, OK, RED, STEP_S, Peer, ScriptedServer, raw_answer, silence
from tests.client.subjects import ClientKind, Subject, WatchSubject
from usbmux.client import tracker
from usbmux.client.device import Device, DeviceAttached, DeviceDetached, DevicePaired
from usbmux.control import plist_codec
from usbmux.control.address import UnixAddress
from usbmux.control.frame import Frame, MessageType
from usbmux.control.message import (
    Attached,
    Detached,
    DeviceRecord,
    Listen,
    Paired,
)
from usbmux.errors import (
    DaemonUnavailableError,
    RemoteProtocolError,
    RequestTimeoutError,
    UsbmuxError,
)

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from usbmux.client.device import DeviceEvent

RED_PHONE = Device.from_record(RED)
BLUE_PHONE = Device.from_record(BLUE)
SHORT_S = 0.05
PAUSE_S = 0.001
NO_NOTIFICATION = Frame(1, MessageType.PLIST, 0, plist_codec.encode(OK)).encode()
BLUE_COMES = Frame(1, MessageType.PLIST, 0, plist_codec.encode(Attached(BLUE))).encode()
NO_PLIST = Frame(1, MessageType.PLIST, 1, b"no plist").encode()
NO_FRAME = b"HTTP/1.1 400 Bad Request\r\n\r\n"


def polled(watch: WatchSubject) -> DeviceEvent | None:
    """The next event, as a program sees it that never waits."""
    for _ in range(int(STEP_S / PAUSE_S)):
        if event := watch.wait_event(0):
            return event
        time.sleep(PAUSE_S)
    return None


def error_of(watch: WatchSubject, kind: type[UsbmuxError]) -> UsbmuxError:
    with pytest.raises(kind) as caught:
        watch.wait_event(STEP_S)
    return caught.value


def test_watch_reports_who_is_there_who_comes_is_paired_and_goes(client: Subject, server: ScriptedServer) -> None:
    def script(peer: Peer) -> None:
        peer.answer(Listen(), OK, Attached(RED))
        peer.notify(Attached(BLUE), Paired(2), Detached(1))
        peer.expect_hang_up()

    server.play(script)
    watch = client.watch()
    assert [watch.next() for _ in range(4)] == [
        DeviceAttached(RED_PHONE),
        DeviceAttached(BLUE_PHONE),
        DevicePaired(BLUE_PHONE),
        DeviceDetached(RED_PHONE),
    ]
    watch.close()


def test_watch_closed_ends_the_iteration(client: Subject, server: ScriptedServer) -> None:
    def script(peer: Peer) -> None:
        peer.answer(Listen(), OK, Attached(RED), Attached(BLUE))
        peer.expect_hang_up()

    server.play(script)
    watch = client.watch()
    assert watch.next() == DeviceAttached(RED_PHONE)
    watch.close()
    assert watch.next() is None


def test_watch_without_news_gives_none_in_time(client: Subject, server: ScriptedServer) -> None:
    def script(peer: Peer) -> None:
        peer.answer(Listen(), OK)
        peer.expect_hang_up()

    server.play(script)
    watch = client.watch()
    watch.open()
    assert watch.wait_event(SHORT_S) is None
    watch.close()


def test_watch_whose_daemon_answers_late_gives_none_in_time_and_goes_on(
    client: Subject, server: ScriptedServer
) -> None:
    def script(peer: Peer) -> None:
        assert resume.acquire(timeout=STEP_S)
        peer.answer(Listen(), OK, Attached(RED))
        peer.expect_hang_up()

    resume = threading.Semaphore(0)
    server.play(script)
    watch = client.watch()
    assert watch.wait_event(SHORT_S) is None
    assert watch.wait_event(SHORT_S) is None
    resume.release()
    assert watch.next() == DeviceAttached(RED_PHONE)
    watch.close()


def test_watch_whose_daemon_comes_back_and_answers_late_gives_none_in_time_and_goes_on(
    client: Subject, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(peer: Peer) -> None:
        assert resume.acquire(timeout=STEP_S)
        peer.answer(Listen(), OK, Attached(RED))
        peer.expect_hang_up()

    resume = threading.Semaphore(0)
    monkeypatch.setattr(tracker, "FIRST_DELAY_S", 0.001)
    server.play(lambda peer: peer.answer(Listen(), OK), again)
    watch = client.watch(reconnect=True)
    watch.open()
    assert watch.wait_event(SHORT_S) is None
    resume.release()
    assert watch.next() == DeviceAttached(RED_PHONE)
    watch.close()


def test_watch_closed_before_the_daemon_has_answered_hangs_up(client: Subject, server: ScriptedServer) -> None:
    server.play(silence)
    watch = client.watch()
    assert watch.wait_event(SHORT_S) is None
    watch.close()
    server.finish()


def test_watch_of_a_daemon_that_never_answers_raises_timeout_in_the_end(
    kind: ClientKind, runner: asyncio.Runner, server: ScriptedServer
) -> None:
    server.play(silence)
    watch = WatchSubject(runner, kind(server.address, timeout_s=2 * SHORT_S).watch())
    with pytest.raises(RequestTimeoutError):  # noqa: PT012 - which of the waits is the last is a matter of time
        for _ in range(10):
            assert watch.wait_event(SHORT_S) is None
    watch.close()


@pytest.mark.parametrize("is_entered", [False, True])
def test_watch_polled_reports_what_is_there(client: Subject, server: ScriptedServer, is_entered: bool) -> None:
    def script(peer: Peer) -> None:
        peer.answer(Listen(), OK, Attached(RED))
        peer.expect_hang_up()

    server.play(script)
    watch = client.watch()
    if is_entered:
        watch.open()
    assert polled(watch) == DeviceAttached(RED_PHONE)
    watch.close()


def test_watch_polled_over_a_restart_reports_the_differences(
    client: Subject, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after(peer: Peer) -> None:
        peer.answer(Listen(), OK, Attached(BLUE))
        peer.expect_hang_up()

    monkeypatch.setattr(tracker, "FIRST_DELAY_S", 0.001)
    monkeypatch.setattr(tracker, "SETTLE_S", SHORT_S)
    server.play(lambda peer: peer.answer(Listen(), OK, Attached(RED)), lambda peer: None, after)
    watch = client.watch(reconnect=True)
    assert [polled(watch) for _ in range(3)] == [
        DeviceAttached(RED_PHONE),
        DeviceAttached(BLUE_PHONE),
        DeviceDetached(RED_PHONE),
    ]
    watch.close()


def test_watch_interrupted_within_a_message_loses_nothing(client: Subject, server: ScriptedServer) -> None:
    def script(peer: Peer) -> None:
        peer.answer(Listen(), OK)
        data = peer.session.notify(Attached(RED))
        peer.stream.sendall(data[:50])
        assert resume.acquire(timeout=10)
        peer.stream.sendall(data[50:])
        peer.expect_hang_up()

    resume = threading.Semaphore(0)
    server.play(script)
    watch = client.watch()
    watch.open()
    assert watch.wait_event(SHORT_S) is None
    resume.release()
    assert watch.next() == DeviceAttached(RED_PHONE)
    watch.close()


def test_watch_when_the_daemon_goes_raises_daemon_unavailable(client: Subject, server: ScriptedServer) -> None:
    server.play(lambda peer: peer.answer(Listen(), OK, Attached(RED)))
    watch = client.watch()
    assert watch.next() == DeviceAttached(RED_PHONE)
    with pytest.raises(DaemonUnavailableError, match="hung up"):
        watch.next()
    watch.close()


def test_watch_whose_daemon_went_raises_the_same_again(client: Subject, server: ScriptedServer) -> None:
    server.play(lambda peer: peer.answer(Listen(), OK))
    watch = client.watch()
    assert [error_of(watch, DaemonUnavailableError)] * 2 == [error_of(watch, DaemonUnavailableError) for _ in range(2)]
    watch.close()
    assert watch.next() is None


@pytest.mark.parametrize("reconnect", [False, True])
@pytest.mark.parametrize("data", [NO_NOTIFICATION, NO_PLIST, NO_FRAME], ids=["reply", "no plist", "no frame"])
def test_watch_whose_daemon_breaks_the_protocol_hangs_up_and_raises_the_same_again(
    client: Subject, server: ScriptedServer, data: bytes, reconnect: bool
) -> None:
    def script(peer: Peer) -> None:
        peer.answer(Listen(), OK, Attached(RED), payload=data + BLUE_COMES)
        peer.expect_hang_up()

    server.play(script)
    watch = client.watch(reconnect=reconnect)
    assert watch.next() == DeviceAttached(RED_PHONE)
    error = error_of(watch, RemoteProtocolError)
    server.finish()
    assert error_of(watch, RemoteProtocolError) is error
    with pytest.raises(RemoteProtocolError):
        watch.open()
    watch.close()
    assert watch.next() is None


def test_watch_whose_daemon_comes_back_and_breaks_the_protocol_is_over(
    client: Subject, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "FIRST_DELAY_S", 0.001)
    server.play(lambda peer: peer.answer(Listen(), OK, Attached(RED)), raw_answer(NO_PLIST))
    watch = client.watch(reconnect=True)
    assert watch.next() == DeviceAttached(RED_PHONE)
    error = error_of(watch, RemoteProtocolError)
    server.finish()
    assert error_of(watch, RemoteProtocolError) is error
    watch.close()


def test_watch_without_daemon_at_the_start_raises_daemon_unavailable(
    kind: ClientKind, runner: asyncio.Runner, tmp_path: Path
) -> None:
    watch = Subject(kind, runner, UnixAddress(str(tmp_path / "missing"))).watch(reconnect=True)
    with pytest.raises(DaemonUnavailableError):
        watch.next()


def test_watch_over_a_restart_reports_only_differences(
    client: Subject, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "FIRST_DELAY_S", 0.001)
    monkeypatch.setattr(tracker, "SETTLE_S", SHORT_S)
    green = DeviceRecord(3, "GREEN")
    black, black_again = DeviceRecord(4, "BLACK"), DeviceRecord(5, "BLACK")

    def after(peer: Peer) -> None:
        peer.answer(Listen(), OK, Attached(RED), Attached(green), Attached(black_again))
        peer.expect_hang_up()

    server.play(
        lambda peer: peer.answer(Listen(), OK, Attached(RED), Attached(BLUE), Attached(black)),
        lambda peer: None,  # a daemon that is about to go
        after,
    )
    watch = client.watch(reconnect=True)
    for record in (RED, BLUE, black):
        assert watch.wait_event(STEP_S) == DeviceAttached(Device.from_record(record))
    assert [watch.wait_event(STEP_S) for _ in range(4)] == [
        DeviceAttached(Device.from_record(green)),
        DeviceDetached(Device.from_record(black)),
        DeviceAttached(Device.from_record(black_again)),
        DeviceDetached(BLUE_PHONE),
    ]
    watch.close()


def test_watch_while_the_daemon_is_away_can_be_left_in_time(
    client: Subject, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "FIRST_DELAY_S", 60.0)
    server.play(lambda peer: peer.answer(Listen(), OK))
    watch = client.watch(reconnect=True)
    watch.open()
    assert watch.wait_event(SHORT_S) is None
    assert watch.wait_event(SHORT_S) is None
    watch.close()
