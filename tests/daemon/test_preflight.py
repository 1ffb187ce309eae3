"""The daemon pairs with virtual iPhones when they come."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import plistlib
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import OTHER_UDID, PATIENCE_S, UDID, turns, until
from tests.lockdown.records import record_for
from tests.lockdown.subjects import Owner
from tests.support.threads import give_no_thread
from usbmux.daemon.preflight import Preflight
from usbmux.lockdown.operations import INSECURE_PROXY
from usbmux.lockdown.pair_record import PairRecord
from usbmux.testing import SimulatedPhone, echo
from usbmux.testing.iphone import Framing, Identity, LockdownFaults, ServiceFaults, TlsOptions, Trust, VirtualIPhone

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve
    from tests.daemon.harness import Harness
    from usbmux.testing.iphone import HostRecord
    from usbmux.testing.iphone.byte_stream import ByteStream
    from usbmux.testing.iphone.lockdown_error import LockdownError
    from usbmux.testing.iphone.services.context import ServiceContext

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

BUSY = ("is paired", "preflight ended", "has no lockdown", "is no phone", "a program has paired")


def iphone(trust: Trust = Trust.ACCEPTED, udid: str = UDID, faults: LockdownFaults | None = None) -> VirtualIPhone:
    return VirtualIPhone(Identity(udid=udid), trust=trust, ports={7: echo}, faults=faults)


def record_in(harness: Harness, udid: str = UDID) -> PairRecord:
    return PairRecord.from_bytes((harness.directory / "lockdown" / f"{udid}.plist").read_bytes())


def keep(harness_directory_of: Harness, record: PairRecord) -> bytes:
    data = record.to_bytes()
    harness_directory_of.daemon._pair_records.save(UDID, data)
    return data


async def settled(caplog: pytest.LogCaptureFixture, words: tuple[str, ...] = BUSY) -> str:
    """What the log says at last."""
    await until(lambda: any(word in caplog.text for word in words))
    await turns()
    return next(text for text in reversed(caplog.messages) if any(word in text for word in words))


async def begun(harness: Harness, reply_timeout_s: float = PATIENCE_S) -> Preflight:
    """One with the first phone, of a daemon that has none of its own."""
    await harness.attached()
    link = harness.daemon.registry.link(1)
    assert link is not None
    preflight = Preflight(harness.daemon.answerer, reply_timeout_s)
    preflight.phone_attached(link, 1)
    return preflight


async def waits(phone: VirtualIPhone) -> None:
    """Wait until the daemon listens for the phone's owner."""
    await until(lambda: phone.notifications.reader_count)


async def rests(harness: Harness) -> None:
    """Wait until the daemon, which listens already, has asked a last time: then only the proxy's connection is left."""
    link = harness.daemon.registry.link(1)
    assert link is not None
    await until(lambda: len(link.handlers) == 1)


async def test_phone_that_trusts_is_paired_and_listeners_are_told(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    phone = iphone()
    harness = await serve(phone.device)
    listener = await harness.client()
    await listener.listen()
    assert (await listener.receive_properties(0))["MessageType"] == "Attached"
    preflight = await begun(harness)
    assert (await listener.receive_properties(0))["MessageType"] == "Paired"
    assert await settled(caplog) == f"{UDID}: is paired now"
    record = record_in(harness)
    assert phone.hosts.host_ids == (record.host_id,)
    assert record.wifi_mac_address == phone.values.value("WiFiAddress")
    assert phone.values.value("UntrustedHostBUID") == record.system_buid == harness.daemon._pair_records.buid()
    assert f"{UDID}: asking to be trusted by this iPhone 16.7.2" in caplog.messages
    await preflight.close()


async def test_daemon_does_it_for_every_phone_that_comes(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    phones = iphone(), iphone(udid=OTHER_UDID)
    harness = await serve(*(phone.device for phone in phones), preflight=True)
    await until(lambda: caplog.text.count("is paired now") == 2)
    for phone in phones:
        assert phone.hosts.host_ids == (record_in(harness, phone.udid).host_id,)


async def test_daemon_without_it_leaves_phones_alone(serve: Serve) -> None:
    phone = iphone()
    harness = await serve(phone.device)
    await harness.attached()
    await turns(500)
    assert phone.hosts.host_ids == ()


async def test_phone_comes_again_its_record_is_only_validated(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    phone = iphone()
    harness = await serve(phone.device, preflight=True)
    await settled(caplog)
    before = record_in(harness)
    caplog.clear()
    harness.bus.unplug(phone.device)
    await harness.attached(0)
    harness.bus.plug(phone.device)
    assert await settled(caplog) == f"{UDID}: is paired"
    assert record_in(harness) == before
    assert phone.hosts.host_ids == (before.host_id,)


async def test_record_that_the_phone_does_not_know_is_replaced_and_backed_up(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    phone = iphone()
    harness = await serve(phone.device)
    stale = keep(harness, record_for())
    preflight = await begun(harness)
    assert await settled(caplog, ("paired now",))
    assert phone.hosts.host_ids == (record_in(harness).host_id,)
    assert stale in [path.read_bytes() for path in (harness.directory / "lockdown").iterdir()]
    await preflight.close()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
async def test_record_that_tls_does_not_take_is_replaced(
    serve: Serve, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    phone = iphone()
    number = {"1.2": TlsOptions().minimum_version, "1.3": TlsOptions().maximum_version}[version]
    phone.tls.options = TlsOptions(minimum_version=number, maximum_version=number)
    harness = await serve(phone.device, preflight=True)
    await settled(caplog)
    paired, stranger = record_in(harness), record_for()
    forged = dataclasses.replace(
        paired, host_certificate=stranger.host_certificate, host_private_key=stranger.host_private_key
    )
    keep(harness, forged)
    caplog.clear()
    preflight = await begun(harness)
    await settled(caplog, ("paired now",))
    assert "does not accept" in caplog.text
    assert record_in(harness).host_id != paired.host_id
    await preflight.close()


async def test_record_that_cannot_be_used_is_replaced(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    harness = await serve(iphone().device)
    harness.daemon._pair_records.save(UDID, plistlib.dumps({"HostID": 5}))
    preflight = await begun(harness)
    assert await settled(caplog, ("paired now",))
    await preflight.close()


@pytest.mark.parametrize("error", ["PasswordProtected", "SomethingElse"])
async def test_phone_that_does_not_say_keeps_its_record(
    serve: Serve, caplog: pytest.LogCaptureFixture, error: str
) -> None:
    phone = iphone(faults=LockdownFaults(at_request=2, error=error))
    harness = await serve(phone.device)
    data = keep(harness, record_for())
    preflight = await begun(harness)
    assert "preflight ended" in await settled(caplog)
    assert record_in(harness).to_bytes() == data
    assert phone.hosts.host_ids == ()
    await preflight.close()


@pytest.mark.parametrize("framing", [Framing.CUT, Framing.ENORMOUS, Framing.EMPTY])
@pytest.mark.parametrize("request_number", [1, 2, 3, 5, 7])
async def test_phone_that_breaks_lockdown_costs_only_its_pairing(
    serve: Serve, caplog: pytest.LogCaptureFixture, framing: Framing, request_number: int
) -> None:
    phone = iphone(faults=LockdownFaults(at_request=request_number, framing=framing))
    harness = await serve(phone.device, preflight=True)
    assert "preflight ended" in await settled(caplog)
    client = await harness.stream(7)
    await client.send(b"still here")
    assert await client.receive_exactly(10) == b"still here"


async def test_phone_that_is_silent_is_given_up_and_keeps_its_record(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    harness = await serve(iphone(faults=LockdownFaults(at_request=2, delay_s=600)).device)
    data = keep(harness, record_for())
    preflight = await begun(harness, 0.1)
    assert "did not answer within" in await settled(caplog)
    assert record_in(harness).to_bytes() == data
    await preflight.close()


@pytest.mark.parametrize("trust", [Trust.PENDING, Trust.LOCKED, Trust.DENIED])
async def test_owner_answers_later_the_phone_is_paired_then(
    serve: Serve, caplog: pytest.LogCaptureFixture, trust: Trust
) -> None:
    phone = iphone(trust)
    harness = await serve(phone.device, preflight=True)
    await waits(phone)
    await turns(300)
    assert not phone.hosts.host_ids
    client = await harness.stream(7)  # nobody waits for the owner
    await client.send(b"meanwhile")
    assert await client.receive_exactly(9) == b"meanwhile"
    phone.answer_trust(Trust.ACCEPTED)
    assert await settled(caplog) == f"{UDID}: is paired now"
    assert phone.hosts.host_ids == (record_in(harness).host_id,)
    assert sum("not paired yet" in text for text in caplog.messages) == 1


async def test_owner_changes_their_mind_each_answer_is_asked_for_and_told_once(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    phone = iphone()
    Owner(phone, Trust.LOCKED, *[Trust.PENDING] * 3, Trust.DENIED, Trust.ACCEPTED)
    await serve(phone.device, preflight=True)
    assert await settled(caplog) == f"{UDID}: is paired now"
    assert sum("not paired yet" in text for text in caplog.messages) == 3


async def test_owner_who_refused_is_not_asked_again_before_they_want_it(serve: Serve) -> None:
    phone = iphone(Trust.DENIED)
    await serve(phone.device, preflight=True)
    await waits(phone)
    phone.hosts.trust = Trust.ACCEPTED
    await turns(300)
    assert phone.hosts.host_ids == ()


async def test_owner_answers_before_we_listen_is_not_missed(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def tap_in_silence(stream: ByteStream, _phone: ServiceContext) -> None:
        phone.hosts.trust = Trust.ACCEPTED
        while await stream.read():
            pass

    phone = VirtualIPhone(Identity(udid=UDID), trust=Trust.PENDING, services={INSECURE_PROXY: tap_in_silence})
    await serve(phone.device, preflight=True)
    assert await settled(caplog) == f"{UDID}: is paired now"


async def test_program_pairs_meanwhile_its_record_stays(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    phone = iphone(Trust.PENDING)
    harness = await serve(phone.device, preflight=True)
    await waits(phone)
    await rests(harness)
    data = keep(harness, record_for())
    phone.answer_trust(Trust.ACCEPTED)
    assert await settled(caplog) == f"{UDID}: a program has paired with it"
    assert record_in(harness).to_bytes() == data
    assert phone.hosts.host_ids == ()


async def test_phone_without_its_proxy_is_given_up(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    phone = iphone(Trust.PENDING)
    phone.service_faults = ServiceFaults(reset_text=b"no")
    await serve(phone.device, preflight=True)
    assert "preflight ended" in await settled(caplog)


async def test_unplugged_while_its_owner_is_waited_for_ends_it_at_once(serve: Serve) -> None:
    phone = iphone(Trust.PENDING)
    harness = await serve(phone.device, preflight=True)
    for _ in range(3):
        await waits(phone)
        harness.bus.unplug(phone.device)
        await until(lambda: not [task for task in asyncio.all_tasks() if "preflight" in task.get_name()])
        await until(lambda: not phone.notifications.reader_count)
        harness.bus.plug(phone.device)
    await waits(phone)


async def test_unplugged_while_keys_are_made_ends_it_at_once(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def make_for_ever(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Preflight, "make_record", make_for_ever)
    phone = iphone()
    harness = await serve(phone.device, preflight=True)
    await asyncio.wait_for(begun.wait(), PATIENCE_S)
    harness.bus.unplug(phone.device)
    await until(lambda: not [task for task in asyncio.all_tasks() if "preflight" in task.get_name()])


async def test_daemon_ends_while_it_pairs_leaves_nothing(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    phones = [iphone(udid=f"00008030-{number:016X}") for number in range(8)]
    harness = await serve(*(phone.device for phone in phones), preflight=True)
    await until(lambda: "asking to be trusted" in caplog.text)
    await harness.daemon.close()
    await turns()
    assert [task for task in asyncio.all_tasks() if "preflight" in task.get_name()] == []


async def test_plain_phone_is_no_more_than_a_detail(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    await serve(SimulatedPhone(UDID), preflight=True)
    assert await settled(caplog) == f"{UDID}: has no lockdown"
    lines = [record for record in caplog.records if record.name == "usbmux.daemon.preflight"]
    assert [record.levelno for record in lines] == [logging.DEBUG]


async def test_t2_and_what_has_no_udid_are_left_alone(serve: Serve) -> None:
    t2, nameless = iphone(), iphone(udid=OTHER_UDID)
    t2.device._info = dataclasses.replace(t2.device.info, product_id=0x8600)
    nameless.device._info = dataclasses.replace(nameless.device.info, serial_number="../etc/passwd")
    harness = await serve(t2.device, nameless.device, preflight=True)
    await harness.attached()
    await turns(300)
    assert (t2.hosts.host_ids, nameless.hosts.host_ids) == ((), ())


async def test_what_is_no_phone_is_left_alone(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    phone = iphone(faults=LockdownFaults(at_request=1, extra={"Type": "com.apple.\n" + "x" * 100}))
    await serve(phone.device, preflight=True)
    assert await settled(caplog) == f"{UDID}: is no phone, but com.apple.?{'x' * 53}"
    assert phone.hosts.host_ids == ()


async def test_phone_that_does_not_say_what_it_is_is_paired_all_the_same(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    phone = iphone()
    phone.values.remove_value("DeviceClass", None)
    phone.values.set_value("ProductVersion", "16\n", None)
    await serve(phone.device, preflight=True)
    assert await settled(caplog) == f"{UDID}: is paired now"
    assert f"{UDID}: asking to be trusted by this ? 16?" in caplog.messages


async def test_package_is_missing_it_is_said_once_and_known_pairings_are_still_validated(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usbmux.daemon.preflight.can_make_pair_records", lambda: False)
    phones = iphone(), iphone(udid=OTHER_UDID)
    harness = await serve(*(phone.device for phone in phones))
    preflight = await begun(harness)
    link = harness.daemon.registry.link(2)
    assert link is not None
    await until(lambda: "not paired with" in caplog.text)
    preflight.phone_attached(link, 2)
    await until(lambda: not preflight._tasks)
    assert sum("pip install" in text for text in caplog.messages) == 1
    await preflight.close()


async def test_records_cannot_be_read_is_told(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    harness = await serve(iphone().device)
    (harness.directory / "lockdown" / f"{UDID}.plist").mkdir(parents=True)
    preflight = await begun(harness)
    assert "ReadPairRecord failed" in await settled(caplog)
    assert f"{UDID}: pair records: " in caplog.text
    await preflight.close()


async def test_record_cannot_be_saved_the_phone_forgets_it_too(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = iphone()
    harness = await serve(phone.device)
    preflight = await begun(harness)

    def pair(record: HostRecord) -> bytes | LockdownError:
        (harness.directory / "lockdown" / f"{UDID}.plist").mkdir()
        return VirtualIPhone.pair(phone, record)

    monkeypatch.setattr(phone, "pair", pair)
    assert "SavePairRecord failed" in await settled(caplog)
    assert phone.hosts.host_ids == ()
    await preflight.close()


async def test_no_thread_is_given_to_make_keys_is_told(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = await serve(iphone().device)
    await (await harness.client()).request({"MessageType": "ReadBUID"})  # the thread for files runs
    give_no_thread(monkeypatch)
    preflight = await begun(harness)
    assert await settled(caplog) == f"{UDID}: preflight ended: [Errno 11] can't start new thread"
    await preflight.close()
