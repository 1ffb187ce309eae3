"""The figures of a daemon that has been used, as Prometheus would read them."""

from __future__ import annotations

import asyncio
import struct
import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.daemon.harness import OTHER_UDID, PATIENCE_S, UDID, Harness, HeldPort, connect_request, encode, turns, until
from usbmux import __version__
from usbmux.daemon import stalls
from usbmux.daemon.admission import ClientLimits
from usbmux.daemon.counts import ConnectResult
from usbmux.daemon.policy import Permission, Rule
from usbmux.errors import UsbDisconnectedError
from usbmux.mux.settings import MuxSettings
from usbmux.testing import PhoneOptions, SimulatedPhone, echo, source

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve

pytestmark = pytest.mark.asyncio

MEBIBYTE = 1 << 20
OF_NO_PROTOCOL = struct.pack(">IIIHH", 99, 16, 0xFEEDFACE, 0, 0)
"""A packet of the mux."""


class Figures:
    """What one scrape says."""

    def __init__(self, document: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(document)}
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self._values[name, frozenset(labels.items())]

    def by(self, name: str, label: str) -> dict[str, float]:
        """Those of a name that are not 0, by the value of a label."""
        return {
            dict(labels)[label]: value for (found, labels), value in self._values.items() if found == name and value
        }


async def scrape(harness: Harness) -> Figures:
    client = await harness.metrics()
    await client.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = await client.receive_to_end()
    client.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    return Figures(body.decode())


async def test_nothing_has_happened_figures_that_are_known_beforehand_are_there(serve: Serve) -> None:
    before = time.time()
    figures = await scrape(await serve())
    assert before - 60 < figures.value("process_start_time_seconds") <= time.time()
    assert figures.value("usbmux_build_info", version=__version__) == 1
    for state in ("opening", "attached", "closing", "quarantined"):
        assert figures.value("usbmux_phones", state=state) == 0
    assert figures.value("usbmux_connects_total", result="established") == 0
    assert figures.value("usbmux_refused_clients_total", limit="descriptors") == 0
    assert figures.value("usbmux_pair_record_requests_total", action="delete", result="no_record") == 0
    assert figures.value("usbmux_stalled_seconds_total", waited_for="phone") == 0
    for name in ("usbmux_phone_failures", "usbmux_resynchronisations", "usbmux_ignored_packets"):
        assert figures.value(f"{name}_total") == 0
        assert figures.families[name].type == "counter"


async def test_clients_are_there_they_are_counted_by_what_they_are_about(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo, 9: HeldPort()}), SimulatedPhone(OTHER_UDID))
    await harness.stream(7)
    await harness.stream(9)
    await harness.client()
    listening = await harness.client()
    await listening.listen()
    await turns()
    figures = await scrape(harness)
    assert figures.by("usbmux_clients", "what") == {"stream": 2, "listening": 1, "request": 1}
    assert figures.by("usbmux_streams", "udid") == {UDID: 2}
    assert figures.by("usbmux_phones", "state") == {"attached": 2}
    assert figures.by("usbmux_attaches_total", "udid") == {UDID: 1, OTHER_UDID: 1}


async def test_bytes_crossed_they_are_counted_while_the_stream_is_open_and_after(serve: Serve) -> None:
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={9: port}))

    async def moved() -> tuple[float, float]:
        figures = await scrape(harness)
        assert figures.by("usbmux_streams", "udid") == ({UDID: 1} if list(harness.daemon.clients) else {})
        to_phone = figures.value("usbmux_stream_bytes_total", udid=UDID, direction="to_phone")
        return to_phone, figures.value("usbmux_stream_bytes_total", udid=UDID, direction="from_phone")

    for number in (1, 2):
        client = await harness.stream(9)
        await client.send(b"question")
        stream = await port.stream()
        assert await stream.readexactly(8) == b"question"
        await stream.write(bytes(30_000))
        await client.receive_exactly(30_000)
        assert await moved() == (8 * number, 30_000 * number)
        client.close()
        await until(lambda: not list(harness.daemon.clients))
    assert await moved() == (16, 60_000)


async def test_connects_are_answered_each_result_is_counted(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    await harness.stream(7)
    client = await harness.client()
    for _ in range(2):
        await client.send(connect_request(1, 8))
        await client.expect_result(3)
    await client.send(connect_request(99, 7))
    await client.expect_result(2)
    figures = await scrape(harness)
    assert figures.by("usbmux_connects_total", "result") == {"established": 1, "refused": 2, "no_phone": 1}


async def test_rule_is_against_the_port_connect_is_counted_as_not_allowed(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    await harness.attached()
    harness.daemon.reconfigure([Rule(Permission(ports=((8, 8),)))], ClientLimits())
    client = await harness.client()
    await client.send(connect_request(1, 7))
    await client.expect_result(3)
    assert (await scrape(harness)).by("usbmux_connects_total", "result") == {"not_allowed": 1}


async def test_daemon_ends_while_a_client_connects_that_is_counted(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID, options=PhoneOptions(answer_syn=False)))
    await harness.connecting(7)
    await harness.daemon.close()
    assert harness.daemon.counts.connects == {ConnectResult.ENDED: 1}


async def test_records_are_asked_for_each_result_is_counted(serve: Serve) -> None:
    harness = await serve()
    client = await harness.client()
    wanted: dict[str, object] = {"MessageType": "ReadPairRecord", "PairRecordID": UDID}
    for request in (wanted, {**wanted, "PairRecordID": "../x"}, {**wanted, "MessageType": "DeletePairRecord"}):
        await client.send(encode(request))
        await client.receive_properties(1)
    saved: dict[str, object] = {
        "MessageType": "SavePairRecord",
        "PairRecordID": UDID,
        "PairRecordData": encode({})[16:],
    }
    await client.send(encode(saved))
    await client.expect_result(0)
    await client.send(encode(wanted))
    await client.receive_properties(1)
    found = await scrape(harness)

    def count(action: str, result: str) -> float:
        return found.value("usbmux_pair_record_requests_total", action=action, result=result)

    assert [count("read", result) for result in ("done", "no_record", "invalid")] == [1, 1, 1]
    assert (count("delete", "no_record"), count("save", "done")) == (1, 1)
    total = sum(sample.value for sample in found.families["usbmux_pair_record_requests"].samples)
    assert total == 5


async def test_newcomers_are_refused_they_are_counted_by_the_limit(serve: Serve) -> None:
    harness = await serve()
    harness.daemon.reconfigure((), ClientLimits(total=2, for_each_uid=1))
    await harness.client()
    refused = await harness.client()
    assert await refused.receive() == b""
    figures = await scrape(harness)
    assert figures.by("usbmux_refused_clients_total", "limit") == {"clients_of_user": 1}


async def test_phone_does_not_answer_its_failure_is_counted(serve: Serve) -> None:
    silent = SimulatedPhone(UDID, options=PhoneOptions(answer_version=False))
    harness = await serve(silent, mux=MuxSettings(handshake_timeout_s=0.1))
    await until(lambda: harness.daemon.counts.phone_failures)
    figures = await scrape(harness)
    assert figures.value("usbmux_phone_failures_total") == harness.daemon.counts.phone_failures


async def test_phone_is_unplugged_that_is_no_failure(serve: Serve) -> None:
    phone = SimulatedPhone(UDID)
    harness = await serve(phone)
    await harness.attached()
    harness.bus.unplug(phone)
    await harness.attached(0)
    await turns()
    assert (await scrape(harness)).value("usbmux_phone_failures_total") == 0


async def test_phone_is_gone_before_the_bus_says_so_that_is_no_failure(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    link = harness.daemon.registry.link(1)
    assert link is not None
    link.pipe_lost(UsbDisconnectedError("unplugged"))
    async with asyncio.timeout(PATIENCE_S):
        while (figures := await scrape(harness)).by("usbmux_phones", "state") != {"quarantined": 1}:
            pass
    assert figures.value("usbmux_phone_failures_total") == 0


async def test_nobody_takes_what_comes_the_wait_is_counted(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "SHORTEST_S", 0.0)  # so that the test does not have to wait
    port = HeldPort()
    harness = await serve(SimulatedPhone(UDID, ports={7: port, 19: source}))
    slow = await harness.stream(19, is_slow=True)
    await slow.send((4 * MEBIBYTE).to_bytes(8))
    talker = await harness.stream(7)
    sending = asyncio.create_task(talker.send(bytes(4 * MEBIBYTE)))
    await turns(2000)
    figures = await scrape(harness)
    waits = figures.by("usbmux_stalls_total", "waited_for")
    lengths_s = figures.by("usbmux_stalled_seconds_total", "waited_for")
    assert waits.keys() == lengths_s.keys() == {"phone", "client"}
    slow.close()
    stream = await port.stream()
    await stream.readexactly(4 * MEBIBYTE)
    await sending
    talker.close()
    port.end()
    await until(lambda: not list(harness.daemon.clients))
    figures = await scrape(harness)
    assert figures.by("usbmux_stalls_total", "waited_for")["phone"] >= waits["phone"]
    assert figures.by("usbmux_stalled_seconds_total", "waited_for")["client"] >= lengths_s["client"]


async def test_packets_belong_to_nothing_and_framing_breaks_both_are_counted(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    link = harness.daemon.registry.link(1)
    assert link is not None
    link.data_received([OF_NO_PROTOCOL])
    assert (await scrape(harness)).value("usbmux_ignored_packets_total") == 1
    link.data_received([bytes(16)])
    assert (await scrape(harness)).value("usbmux_resynchronisations_total") == 1
