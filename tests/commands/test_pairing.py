"""`usbmux pair`, `unpair`, `validate`, `info` and `list -l`, with virtual iPhones."""

from __future__ import annotations

import asyncio
import datetime
import json
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.commands.program import USBMUX, Outcome, run, started
from tests.lockdown.subjects import Owner
from usbmux import Client, PairRecordNotFoundError
from usbmux.commands import names
from usbmux.testing import RunningDaemon, SimulatedPhone
from usbmux.testing.iphone import Framing, Identity, LockdownFaults, Trust, VirtualIPhone

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

UDID = "00008030-001A2B3C4D5E6F01"
DATE = datetime.datetime(2026, 1, 2, 3, 4, 5)
OTHER_UDID = "00008110-000A1D2E3F4B5C6D"


@contextmanager
def plugged(monkeypatch: pytest.MonkeyPatch, *phones: VirtualIPhone) -> Iterator[RunningDaemon]:
    """The default daemon, with these phones."""
    with RunningDaemon([phone.device for phone in phones]) as daemon:
        for name, value in daemon.environment.items():
            monkeypatch.setenv(name, value)
        yield daemon
    assert daemon.violations == []


def said(outcome: Outcome) -> tuple[int, str, str]:
    return outcome.code, outcome.stdout.decode(), outcome.stderr


async def test_pairing_is_made_validated_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = VirtualIPhone()
    with plugged(monkeypatch, phone) as daemon:
        client = Client(daemon.address)
        assert said(await run(USBMUX, "pair")) == (0, f"paired with {UDID}\n", "")
        assert client.read_pair_record(UDID)
        assert said(await run(USBMUX, "validate", "-u", UDID)) == (0, f"paired with {UDID}\n", "")
        assert said(await run(USBMUX, "unpair")) == (0, f"unpaired from {UDID}\n", "")
        for command, is_paired in (("pair", True), ("validate", True), ("unpair", False)):
            code, stdout, stderr = said(await run(USBMUX, command, "--json"))
            assert (code, json.loads(stdout), stderr) == (0, {"udid": UDID, "paired": is_paired}, "")
        assert phone.hosts.host_ids == ()
        with pytest.raises(PairRecordNotFoundError):
            client.read_pair_record(UDID)


@pytest.mark.parametrize("command", ["validate", "unpair"])
async def test_no_record_exits_5_with_what_to_do(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    with plugged(monkeypatch, VirtualIPhone()):
        code, stdout, stderr = said(await run(USBMUX, command))
    assert (code, stdout) == (5, "")
    assert stderr.endswith("usbmux: pair with the phone: usbmux pair\n")


async def test_phone_has_forgotten_the_computer_exits_5_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = VirtualIPhone()
    with plugged(monkeypatch, phone) as daemon, Client(daemon.address).lockdown() as lockdown:
        lockdown.pair()
        phone.hosts.revoke()
        outcome = await run(USBMUX, "validate")
    assert said(outcome) == (5, "", "usbmux: the phone does not know this computer: usbmux pair\n")


@pytest.mark.parametrize(
    ("trust", "code", "words"),
    [(Trust.PENDING, 5, "tap Trust"), (Trust.LOCKED, 6, "unlock it and tap Trust"), (Trust.DENIED, 6, "was refused")],
)
async def test_phone_that_does_not_trust_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, trust: Trust, code: int, words: str
) -> None:
    with plugged(monkeypatch, VirtualIPhone(trust=trust)):
        outcome = await run(USBMUX, "pair")
    assert outcome.code == code
    assert words in outcome.stderr


async def test_pair_waits_for_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = VirtualIPhone()
    Owner(phone, *[Trust.PENDING] * 3, Trust.ACCEPTED)
    with plugged(monkeypatch, phone):
        outcome = await run(USBMUX, "pair", "--wait", "60")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stderr == "usbmux: the phone asks whether to trust this computer: tap Trust\n"


async def test_pair_that_waits_ends_at_once_when_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = VirtualIPhone(trust=Trust.PENDING)
    with plugged(monkeypatch, phone):
        async with started(USBMUX, "pair", "--wait", "600") as process:
            await asyncio.to_thread(phone.notifications.wait_readers)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130


async def test_pair_that_waits_in_vain_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with plugged(monkeypatch, VirtualIPhone(trust=Trust.PENDING)):
        outcome = await run(USBMUX, "pair", "--wait", "0.2")
    assert outcome.code == 5


async def test_phone_without_lockdown_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with RunningDaemon([SimulatedPhone()]) as daemon:
        for command in ("pair", "info"):
            assert (await run(USBMUX, command, "--socket", str(daemon.address))).code == 6


async def test_info_of_a_phone_that_is_not_paired_is_what_everybody_may_know(monkeypatch: pytest.MonkeyPatch) -> None:
    with plugged(monkeypatch, VirtualIPhone(Identity(device_name="Ada\u202e"))):
        code, stdout, stderr = said(await run(USBMUX, "info"))
        lines = stdout.splitlines()
        assert code == 0
        assert "not paired" in stderr
        assert lines == sorted(lines)
        assert "DeviceName: Ada?" in lines
        assert not [line for line in lines if line.startswith("SerialNumber")]
        code, stdout, stderr = said(await run(USBMUX, "info", "-k", "SerialNumber"))
        assert (code, stdout) == (5, "")
        assert stderr == "usbmux: the phone tells SerialNumber only to those that it trusts: usbmux pair\n"
        assert said(await run(USBMUX, "info", "-k", "ProductVersion")) == (0, "16.7.2\n", "")


async def test_info_of_a_paired_phone_is_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = VirtualIPhone()
    with plugged(monkeypatch, phone) as daemon:
        with Client(daemon.address).lockdown() as lockdown:
            lockdown.pair()
        everything = json.loads((await run(USBMUX, "info", "--json")).stdout)
        assert everything["SerialNumber"] == phone.values.value("SerialNumber")
        assert isinstance(everything["DevicePublicKey"], str)
        domain = "com.apple.mobile.battery"
        assert "BatteryCurrentCapacity: " in (await run(USBMUX, "info", "-d", domain)).stdout.decode()
        assert said(await run(USBMUX, "info", "-k", "SupportedDeviceFamilies")) == (0, "[1]\n", "")
        code, stdout, stderr = said(await run(USBMUX, "info", "-k", "NoSuchKey"))
        assert (code, stdout) == (6, "")
        assert "MissingValue" in stderr


async def test_info_prints_data_and_dates_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = VirtualIPhone()
    phone.values.set_value("Data", b"\0\xff", "com.example")
    phone.values.set_value("Flag", True, "com.example")
    phone.values.set_value("Date", DATE, "com.example")
    with plugged(monkeypatch, phone) as daemon:
        with Client(daemon.address).lockdown() as lockdown:
            lockdown.pair()
        outcome = await run(USBMUX, "info", "-d", "com.example")
        assert outcome.stdout.decode().splitlines() == [
            "Data: AP8=",
            "Date: 2026-01-02T03:04:05",
            "Flag: true",
        ]
        key = json.loads((await run(USBMUX, "info", "--json", "-d", "com.example", "-k", "Date")).stdout)
        assert key == "2026-01-02T03:04:05"


async def test_list_long_names_the_phones_that_say_who_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = VirtualIPhone(Identity(udid=UDID, device_name="Ada's\niPhone", product_version="17.5.1"))
    broken = VirtualIPhone(Identity(udid=OTHER_UDID), faults=LockdownFaults(framing=Framing.ENORMOUS))
    with plugged(monkeypatch, ada, broken):
        lines = (await run(USBMUX, "list", "-l")).stdout.decode().splitlines()
    assert lines[0].split() == [
        "ID",
        "UDID",
        "NAME",
        "MODEL",
        "VERSION",
        "PRODUCT",
        "SPEED",
        "LOCATION",
        "PORT",
        "TYPE",
    ]
    assert f"{UDID}  Ada's?iPhone  {ada.values.value('ProductType')}  17.5.1 " in lines[1]
    assert lines[2].split()[1:5] == [OTHER_UDID, "-", "-", "-"]


async def test_list_long_does_not_wait_for_a_phone_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = VirtualIPhone(faults=LockdownFaults(delay_s=600))
    monkeypatch.setattr(names, "_PATIENCE_S", 0.1)
    with plugged(monkeypatch, phone) as daemon:
        client = Client(daemon.address)
        found = await asyncio.to_thread(names.names_of, str(daemon.address), client.devices())
    assert list(found.values()) == [("-", "-", "-")]
