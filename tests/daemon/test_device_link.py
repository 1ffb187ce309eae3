"""A phone's link as the log and the clients see it."""

from __future__ import annotations

import asyncio
import gc
import select
import weakref
from math import ceil
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import UDID, HeldPort, connect_request, some_bytes, turns, until
from usbmux.daemon.socket_watch import PROBE_S
from usbmux.mux.packet import ControlKind
from usbmux.mux.segment import Flags, Segment
from usbmux.mux.settings import MuxSettings
from usbmux.testing import PhoneOptions, SimulatedPhone, echo

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve

pytestmark = pytest.mark.asyncio


async def test_phone_sends_control_texts_they_are_logged_by_kind(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ((ControlKind.ERROR, "too large"), (ControlKind.WARNING, "odd"), (ControlKind.INFO, "fine\n\0"))
    harness = await serve(SimulatedPhone(UDID, options=PhoneOptions(control_texts=texts)))
    await harness.attached()
    await turns()
    said = [(record.levelname, record.getMessage()) for record in caplog.records if "says" in record.getMessage()]
    assert said == [
        ("WARNING", f"{UDID}: says (kind 3): too large"),
        ("WARNING", f"{UDID}: says (kind 5): odd"),
        ("INFO", f"{UDID}: says (kind 7): fine"),
    ]


async def test_stream_ended_every_line_about_it_and_its_phone_has_the_udid_as_a_field(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    client = await harness.stream(7)
    client.close()
    await until(lambda: "finished; 0 bytes to the phone, 0 from it" in caplog.text)
    about = [record for record in caplog.records if record.name in ("usbmux.daemon.device", "usbmux.daemon.stream")]
    assert len(about) == 2
    assert {getattr(record, "udid", None) for record in about} == {UDID}


async def test_phone_unplugged_the_reason_is_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    harness.bus.unplug(harness.phones[0])
    await until(lambda: f"{UDID}: 1-1 (05ac:12a8) was unplugged" in caplog.messages)


async def test_phone_unplugged_nothing_is_kept_of_its_link(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID), mux=MuxSettings(version_repeat_s=3600))
    await harness.attached()
    links = [weakref.ref(device.link) for device in harness.daemon.registry]
    harness.bus.unplug(harness.phones[0])
    await harness.attached(0)
    await turns()
    gc.collect()
    assert [link() for link in links] == [None]


async def test_phone_unplugged_and_plugged_in_again_many_times_the_last_one_works(serve: Serve) -> None:
    phone = SimulatedPhone(UDID, ports={7: echo})
    harness = await serve(phone)
    for count in range(20):
        await turns(count)  # at every stage of opening and handshake
        harness.bus.unplug(phone)
        harness.bus.plug(phone)
    await turns(200)
    await harness.attached(1)
    (record,) = harness.daemon.registry.records()
    client = await harness.stream(7, device_id=record.device_id)
    await client.send(b"alive")
    assert await client.receive_exactly(5) == b"alive"


async def test_phone_resets_with_text_it_is_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    options = PhoneOptions(reset_after=100, reset_text=b"enough\n")
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}, options=options))
    client = await harness.stream(7)
    await client.send(bytes(100))
    assert await client.receive_to_end() == b""
    await until(lambda: "reset enough; 100 bytes to the phone, 0 from it" in caplog.text)


async def test_phone_breaks_the_stream_client_is_cut_off_and_others_are_not(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    lost: list[Segment] = []

    def lose_one(segment: Segment) -> Segment | None:
        if segment.source_port == 9 and segment.payload and not lost:
            lost.append(segment)
            return None
        return segment

    options = PhoneOptions(tamper=lose_one, max_segment=1000)
    harness = await serve(SimulatedPhone(UDID, ports={7: echo, 9: echo}, options=options))
    good, bad = await harness.stream(7), await harness.stream(9)
    await bad.send(some_bytes(5000))
    assert await bad.receive_to_end() == b""
    assert "violated expected seq" in caplog.text
    await good.send(b"still there")
    assert await good.receive_exactly(11) == b"still there"


async def test_phone_sends_to_a_port_of_nobody_daemon_resets_and_goes_on(serve: Serve) -> None:
    answers: list[Segment] = []

    def redirect(segment: Segment) -> Segment:
        if segment.payload == b"astray":
            return Segment(7, 4242, segment.seq, segment.ack, Flags.ACK, segment.window, segment.payload)
        answers.append(segment)
        return segment

    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port, 8: echo}, options=PhoneOptions(tamper=redirect)))
    await harness.stream(7)
    await (await port.stream()).write(b"astray")
    client = await harness.stream(8)
    await client.send(b"ping")
    assert await client.receive_exactly(4) == b"ping"
    port.end()


async def test_link_idle_nothing_keeps_the_loop_busy(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    clients = [await harness.stream(7) for _ in range(3)]
    for client in clients:
        await client.send(bytes(100_000))
        await client.receive_exactly(100_000)
    clients[0].shut_down_writing()
    listener = await harness.client()
    await listener.listen()
    await asyncio.sleep(0.05)  # until the last acknowledgement has gone out
    wakeups = 0
    loop = asyncio.get_running_loop()
    # Its calls are the only place where an idle loop's wake-ups can be counted.
    selector = loop._selector  # type: ignore[attr-defined]
    look = selector.select

    def counting(timeout: float | None = None) -> object:
        nonlocal wakeups
        wakeups += 1
        return look(timeout)

    selector.select = counting
    await asyncio.sleep(0.3)
    selector.select = look
    probes = 0 if hasattr(select, "epoll") else ceil(0.3 / PROBE_S)  # of the client that has shut down writing
    assert wakeups < 5 + probes


async def test_connects_come_faster_than_the_phone_answers_each_gets_an_answer(serve: Serve) -> None:
    phone = SimulatedPhone(UDID, options=PhoneOptions(answer_syn=False))
    harness = await serve(phone, mux=MuxSettings(syn_timeout_s=0.05))
    await harness.attached()
    clients = [await harness.client() for _ in range(200)]
    for client in clients:
        await client.send(connect_request(1, 7))
    for client in clients:
        await client.expect_result(3)
    await harness.quiet()
