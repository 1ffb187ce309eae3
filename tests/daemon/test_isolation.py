"""64 phones in one daemon: what one of them does costs the others nothing.

Speed is counted in turns of the event loop, which everything here shares: what holds the others up takes turns from
them, however fast the computer is.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import TYPE_CHECKING

import pytest

from tests.daemon.faults import FloodingPhone, broken_framing, chatter, rubbish, stray_segments
from tests.daemon.harness import Harness, RawClient, connect_request, some_bytes
from usbmux.mux.settings import MuxSettings
from usbmux.testing import PhoneOptions, SimulatedPhone, digest, echo, pattern, source

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon.conftest import Serve

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

GOOD = 63
ODD_UDID = "00008130-0000000000000001"
ECHO, SOURCE, DIGEST = 7, 19, 99
LENGTH = 200_000
ALLOWANCE = 1 / 0.9
# An acknowledgement that waits for the clock would wait for more turns the busier the loop is.
SETTINGS = MuxSettings(acknowledge_delay_s=0, linger_s=0.1)


class Ticker:
    """Counts the turns of the loop, and does something in each."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.turns = 0
        self._act = act
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._tick)

    def stop(self) -> None:
        self._handle.cancel()

    def _tick(self) -> None:
        self.turns += 1
        self._act()
        self._handle = self._loop.call_soon(self._tick)


def idle() -> None:
    """What a phone does that behaves."""


def good_phones() -> list[SimulatedPhone]:
    ports = {ECHO: echo, SOURCE: source, DIGEST: digest}
    return [SimulatedPhone(f"00008110-{number:016X}", ports=ports) for number in range(GOOD)]


def device_ids(harness: Harness) -> dict[str, int]:
    return {record.serial_number: record.device_id for record in harness.daemon.registry.records()}


async def exercise(harness: Harness, device_id: int) -> None:
    """Bytes both ways, up and down, each proven."""
    data = some_bytes(LENGTH)
    header = LENGTH.to_bytes(8)
    for port, sent, expected in (
        (ECHO, data, data),
        (SOURCE, header, bytes(pattern(LENGTH))),
        (DIGEST, header + data, hashlib.sha256(data).digest()),
    ):
        client = await harness.client()
        await client.connect(port, device_id)
        sending = asyncio.create_task(client.send(sent))
        assert await client.receive_exactly(len(expected)) == expected
        await sending
        client.close()


async def use(harness: Harness) -> None:
    """Try to get something out of the odd phone again and again, with more clients than it can serve."""
    while True:
        client = await harness.client()
        try:
            device_id = device_ids(harness).get(ODD_UDID, 0)
            await client.send(connect_request(device_id, ECHO) + bytes(1000))
            await client.receive(4096)
        finally:
            client.close()
            harness.clients.remove(client)


async def turns_of_the_good(harness: Harness, act: Callable[[], None]) -> int:
    """How many turns the good phones take, while `act` is done in each and somebody uses the odd phone."""
    ids = [number for udid, number in device_ids(harness).items() if udid != ODD_UDID]
    assert len(ids) == GOOD
    users = [asyncio.create_task(use(harness)) for _ in range(4)]
    ticker = Ticker(act)
    try:
        await asyncio.gather(*(exercise(harness, device_id) for device_id in ids))
        return ticker.turns
    finally:
        ticker.stop()
        for user in users:
            user.cancel()
        await asyncio.gather(*users, return_exceptions=True)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many turns the good phones take when the odd one is as good as they are."""

    async def measure() -> int:
        harness = Harness(tmp_path_factory.mktemp("reference"), [*good_phones(), SimulatedPhone(ODD_UDID)])
        await harness.start(mux=SETTINGS)
        await harness.attached()
        turns = await turns_of_the_good(harness, idle)
        await harness.stop()
        return turns

    return asyncio.run(measure())


FLOODS = {
    "rubbish": (rubbish, True),
    "rubbish instead of VERSION": (rubbish, False),
    "broken framing": (broken_framing, True),
    "stray segments": (stray_segments, True),
    "messages": (chatter, True),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_one_of_64_phones_floods_the_others_keep_their_speed(
    serve: Serve, caplog: pytest.LogCaptureFixture, reference: int, flood: str
) -> None:
    harness = await serve(*good_phones(), mux=SETTINGS)
    await harness.attached()
    caplog.set_level(logging.CRITICAL, "usbmux")  # the log of a phone that floods would fill the memory
    make_flood, answers_version = FLOODS[flood]
    phone = FloodingPhone(ODD_UDID, make_flood, answers_version=answers_version)
    harness.bus.plug(phone)
    turns = await turns_of_the_good(harness, phone.act)
    assert turns <= reference * ALLOWANCE
    assert phone.sent


async def test_one_of_64_phones_never_answers_version_the_others_keep_their_speed(serve: Serve, reference: int) -> None:
    silent = SimulatedPhone(ODD_UDID, options=PhoneOptions(answer_version=False))
    harness = await serve(silent, *good_phones(), mux=SETTINGS)
    await harness.attached(GOOD)
    assert await turns_of_the_good(harness, idle) <= reference * ALLOWANCE


@pytest.mark.parametrize("reset_after", [0, 1, 500])
async def test_one_of_64_phones_resets_everything_the_others_keep_their_speed(
    serve: Serve, caplog: pytest.LogCaptureFixture, reference: int, reset_after: int
) -> None:
    resetting = SimulatedPhone(ODD_UDID, ports={ECHO: echo}, options=PhoneOptions(reset_after=reset_after))
    harness = await serve(resetting, *good_phones(), mux=SETTINGS)
    await harness.attached()
    assert await turns_of_the_good(harness, idle) <= reference * ALLOWANCE
    assert f"{ODD_UDID}:{ECHO} (source port 1): reset" in caplog.text


async def test_one_of_64_phones_takes_no_transfer_any_more_the_others_keep_their_speed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, reference: int
) -> None:
    stalled = SimulatedPhone(ODD_UDID, ports={ECHO: echo})
    harness = await serve(stalled, *good_phones(), mux=SETTINGS)
    await harness.attached()
    before = await harness.stream(ECHO, device_id=device_ids(harness)[ODD_UDID])
    pipe = harness.bus._candidates[stalled]._pipe
    monkeypatch.setattr(pipe, "_slots", 0)
    await before.send(bytes(LENGTH // 2))  # which stays in the daemon
    assert await turns_of_the_good(harness, idle) <= reference * ALLOWANCE


async def test_one_of_64_phones_comes_and_goes_all_the_time_the_others_keep_their_speed(
    serve: Serve, caplog: pytest.LogCaptureFixture, reference: int
) -> None:
    restless = SimulatedPhone(ODD_UDID, ports={ECHO: echo})
    harness = await serve(*good_phones(), mux=SETTINGS)
    await harness.attached()
    turns = 0

    def act() -> None:
        nonlocal turns
        if turns % 8 == 0:
            harness.bus.plug(restless)
        elif turns % 8 == 6:
            harness.bus.unplug(restless)
        turns += 1

    assert await turns_of_the_good(harness, act) <= reference * ALLOWANCE
    assert caplog.text.count(f"{ODD_UDID}: attached as device") > 2


async def test_one_of_64_clients_of_a_phone_reads_nothing_the_others_keep_their_speed(serve: Serve) -> None:
    async def download(client: RawClient) -> None:
        await client.send(LENGTH.to_bytes(8))
        assert await client.receive_exactly(LENGTH) == pattern(LENGTH)

    async def turns_of_63(*, is_one_slow: bool) -> int:
        harness = await serve(SimulatedPhone(ports={SOURCE: source}), mux=SETTINGS)
        clients = [await harness.stream(SOURCE, is_slow=is_one_slow and not number) for number in range(GOOD + 1)]
        one, *others = clients
        await one.send((1 << 40).to_bytes(8))
        reading = None if is_one_slow else asyncio.create_task(one.receive_to_end())
        ticker = Ticker(idle)
        await asyncio.gather(*(download(client) for client in others))
        ticker.stop()
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await harness.stop()
        return ticker.turns

    assert await turns_of_63(is_one_slow=True) <= await turns_of_63(is_one_slow=False) * ALLOWANCE
