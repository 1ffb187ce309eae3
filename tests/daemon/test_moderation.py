"""How far apart turns are kept, on a clock that the tests move and against a link that they calculate."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.download_link import Link, stream_to_phone
from tests.daemon.harness import UDID, encode, until
from tests.daemon.sleeping_clock import OVERSHOOT_S, Clock
from usbmux.daemon import server
from usbmux.daemon.moderation import Moderation
from usbmux.daemon.settings import DaemonSettings
from usbmux.direct_loop import DirectLoop, new_event_loop
from usbmux.testing import SimulatedPhone, discard, echo, source

if TYPE_CHECKING:
    from pathlib import Path

    from tests.daemon.conftest import Serve
    from usbmux.mux.connection import TcpConnection
    from usbmux.usb.drain import Drain

STREAM = 256 * 1024
STREAM_OF_ONE = stream_to_phone()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def moderation(clock: Clock) -> Moderation:
    return Moderation(clock, clock.sleep)


@pytest.mark.parametrize("packet", [1536, 4096, 16_384])
def test_stream_on_usb_2_many_packets_are_a_turn_at_the_full_rate(
    moderation: Moderation, clock: Clock, packet: int
) -> None:
    link = Link(moderation, clock, rate=40e6, packet=packet, reads=64)
    link.run(0.2)
    turns = link.turns

    rate = link.run(1)

    assert rate > 0.99 * 40e6
    assert (link.turns - turns) * 40_000 < rate
    assert 0.0008 < clock.longest_pause_s <= 0.003


def test_long_packets_the_phone_hears_of_one_before_it_must_wait_to_send_the_next_but_one(
    moderation: Moderation, clock: Clock
) -> None:
    link = Link(moderation, clock, rate=40e6, packet=65_000, reads=64)
    link.run(0.2)

    assert link.run(1) > 0.99 * 40e6
    assert clock.longest_pause_s > 0.0004


def test_stream_on_usb_3_some_packets_are_a_turn_at_the_full_rate(moderation: Moderation, clock: Clock) -> None:
    link = Link(moderation, clock, rate=400e6, packet=16_384, reads=64)
    link.run(0.2, turn_s=30e-6, packet_s=5e-6)
    turns = link.turns

    rate = link.run(1, turn_s=30e-6, packet_s=5e-6)

    assert rate > 0.97 * 400e6
    assert (link.turns - turns) * 40_000 < rate


def test_many_connections_each_has_a_window_so_only_the_reads_are_the_bound(
    moderation: Moderation, clock: Clock
) -> None:
    link = Link(moderation, clock, rate=400e6, packet=16_384, reads=64, connections=50)
    link.run(0.2, turn_s=30e-6, packet_s=5e-6)
    turns = link.turns

    rate = link.run(1, turn_s=30e-6, packet_s=5e-6)

    assert rate > 0.97 * 400e6
    assert (link.turns - turns) * 200_000 < rate


@pytest.mark.parametrize("packet", [4096, 16_384, 65_000])
def test_client_s_socket_takes_less_than_a_window_no_pause_brings_more(
    moderation: Moderation, clock: Clock, packet: int
) -> None:
    link = Link(moderation, clock, rate=900e6, packet=packet, reads=512, window=524_288, socket=160_000)
    link.run(0.2, turn_s=30e-6, packet_s=1e-6)
    turns = link.turns

    rate = link.run(1, turn_s=30e-6, packet_s=1e-6)

    assert rate > 0.95 * 900e6
    assert (link.turns - turns) * 70_000 < rate


@pytest.mark.parametrize(("rate", "overshoot_s"), [(2e9, OVERSHOOT_S), (400e6, 0.0004)])
def test_too_much_would_come_meanwhile_hardly_ever_a_pause(rate: float, overshoot_s: float) -> None:
    clock = Clock(overshoot_s)
    link = Link(Moderation(clock, clock.sleep), clock, rate=rate, packet=16_384, reads=64)

    found = link.run(1, turn_s=30e-6, packet_s=5e-6)

    assert found > 0.97 * Link(None, Clock(), rate=rate, packet=16_384, reads=64).run(1, turn_s=30e-6, packet_s=5e-6)


@settings(max_examples=60)
@given(
    rate=st.floats(1e6, 1e9),
    packet=st.integers(1024, 65_000),
    reads=st.integers(8, 64),
    connections=st.sampled_from([1, 5, 50]),
    turn_s=st.floats(1e-5, 5e-4),
    overshoot_s=st.floats(1e-5, 5e-4),
)
def test_whatever_the_phone_it_is_held_up_by_little(
    rate: float, packet: int, reads: int, connections: int, turn_s: float, overshoot_s: float
) -> None:
    clock = Clock(overshoot_s)
    moderation = Moderation(clock, clock.sleep)
    link = Link(moderation, clock, rate=rate, packet=packet, reads=reads, connections=connections)
    free = Link(None, Clock(), rate=rate, packet=packet, reads=reads, connections=connections)

    assert link.run(0.4, turn_s=turn_s) > 0.96 * free.run(0.4, turn_s=turn_s)


def stream(moderation: Moderation, clock: Clock, seconds: float) -> list[float]:
    """Packets of 16 KiB on USB 2 for that long; the pauses between them."""
    pauses = []
    end = clock.now + seconds
    while clock.now < end:
        moderation.came(STREAM_OF_ONE, 16_384, 16_384, clock.now)
        pauses.append(moderation.pause())
        clock.now += 0.0004
    return pauses


def test_pause_is_never_longer_than_its_share_of_the_stream(moderation: Moderation, clock: Clock) -> None:
    begin = clock.now
    while clock.now < begin + 0.2:
        moderation.came(STREAM_OF_ONE, 4096, 4096, clock.now)
        asked_at = clock.now
        assert moderation.pause() <= (asked_at - begin) / 32
        clock.now += 0.0001


def test_payload_goes_to_a_phone_or_somebody_asks_it_must_be_a_stream_again(
    moderation: Moderation, clock: Clock
) -> None:
    assert any(stream(moderation, clock, 0.1))

    moderation.begin_anew()

    assert not any(stream(moderation, clock, 0.0075))
    assert any(stream(moderation, clock, 0.1))


def test_answers_of_a_window_each_are_never_held_up(moderation: Moderation, clock: Clock) -> None:
    for _ in range(1000):
        assert not any(stream(moderation, clock, 0.003))
        moderation.begin_anew()


def test_silence_what_comes_behind_it_is_a_new_stream(moderation: Moderation, clock: Clock) -> None:
    assert any(stream(moderation, clock, 0.1))

    clock.now += 0.05

    assert not any(stream(moderation, clock, 0.0075))


def test_client_is_behind_no_pause_until_it_has_caught_up(moderation: Moderation, clock: Clock) -> None:
    assert any(stream(moderation, clock, 0.1))
    for _ in range(100):
        moderation.came(STREAM_OF_ONE, 16_384, 16_384, clock.now)
        moderation.client_fell_behind()
        assert not moderation.pause()
        clock.now += 0.0004

    assert all(stream(moderation, clock, 0.01)[1:])


def test_packets_come_seldom_there_is_nothing_to_wait_for(moderation: Moderation, clock: Clock) -> None:
    pauses = []
    for _ in range(1000):
        moderation.came(STREAM_OF_ONE, 16_384, 16_384, clock.now)
        pauses.append(moderation.pause())
        clock.now += 0.005
    assert sum(map(bool, pauses)) < 50


class Recorder(Moderation):
    """What a daemon tells."""

    made: list[Recorder]

    def __init__(self) -> None:
        super().__init__()
        self.taken = self.begun = self.uploaded = 0
        self.behind = 0
        self.connections: set[TcpConnection] = set()
        self.ended_with = ""
        self.made.append(self)

    def came(self, connection: TcpConnection, count: int, packet: int, now: float) -> None:
        assert packet <= count
        self.connections.add(connection)
        self.taken += count
        self.ended_with = "came"

    def begin_anew(self) -> None:
        self.begun += 1
        self.ended_with = "anew"

    def went(self, connection: TcpConnection, count: int, drain: Drain) -> None:
        self.connections.add(connection)
        assert drain.in_flight == 0, "nothing is known of simulated phones"
        self.uploaded += count

    def client_fell_behind(self) -> None:
        self.behind += 1


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    Recorder.made = []
    monkeypatch.setattr(server, "Moderation", Recorder)
    return Recorder.made


@pytest.mark.asyncio
async def test_daemon_tells_what_comes_from_a_phone(serve: Serve, recorded: list[Recorder]) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={19: source}))
    client = await harness.stream(19)
    await client.send((100_000).to_bytes(8))
    await client.receive_exactly(100_000)
    assert [(each.taken, each.ended_with) for each in recorded] == [(100_000, "came")]


@pytest.mark.asyncio
async def test_daemon_tells_what_goes_to_a_phone(serve: Serve, recorded: list[Recorder]) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={9: discard}))
    client = await harness.stream(9)
    await client.send(bytes(100_000))
    await until(lambda: recorded[0].uploaded == 100_000)


@pytest.mark.asyncio
async def test_daemon_tells_which_connection_it_is(serve: Serve, recorded: list[Recorder]) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={7: echo}))
    for count in (1, 2):
        client = await harness.stream(7)
        await client.send(bytes(1000))
        await client.receive_exactly(1000)
        assert len(recorded[0].connections) == count


@pytest.mark.asyncio
@pytest.mark.parametrize("what", ["request", "newcomer"])
async def test_daemon_tells_that_somebody_may_wait_for_an_answer(
    serve: Serve, recorded: list[Recorder], what: str
) -> None:
    harness = await serve(SimulatedPhone(UDID))
    kept = await harness.client()
    await kept.request({"MessageType": "ReadBUID"})
    before = recorded[0].begun

    match what:
        case "request":
            await kept.send(encode({"MessageType": "ReadBUID"}))
        case _:
            await harness.client()

    await until(lambda: recorded[0].begun > before)


@pytest.mark.asyncio
async def test_client_takes_nothing_it_is_told_as_well(serve: Serve, recorded: list[Recorder]) -> None:
    harness = await serve(SimulatedPhone(UDID, ports={19: source}))
    client = await harness.stream(19, is_slow=True)

    await client.send((1 << 30).to_bytes(8))

    await until(lambda: recorded[0].behind > 0)


def test_daemon_on_a_loop_of_its_own_the_loop_asks_before_it_waits(tmp_path: Path) -> None:
    async def asked_by_the_loop() -> bool:
        daemon = server.Daemon(DaemonSettings(pair_record_directory=tmp_path), [])
        async with daemon:
            loop = asyncio.get_running_loop()
            return isinstance(loop, DirectLoop) and loop.direct.pause == daemon.moderation.pause

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(asked_by_the_loop()) == hasattr(select, "epoll")
