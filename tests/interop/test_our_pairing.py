"""Our daemon and our command pair, and other programs use that record; and the other way round."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.interop.iphone_bench import NAME, IPhoneBench, Spelling
from tests.interop.programs import debian_program, go_ios, pymobiledevice3
from usbmux import AsyncClient, Client, DeviceAttached, DevicePaired, PairRecordNotFoundError
from usbmux.testing import RunningDaemon
from usbmux.testing.iphone import Identity, VirtualIPhone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.interop.compatibility import CompatibilityTable

pytestmark = pytest.mark.interop

USBMUX = (sys.executable, "-m", "usbmux")
WITHIN_S = 60.0


@contextmanager
def bench(*, preflight: bool) -> Iterator[IPhoneBench]:
    phone = VirtualIPhone(Identity(device_name=NAME))
    with RunningDaemon([phone.device], preflight=preflight) as daemon:
        yield IPhoneBench(phone, daemon)
    assert daemon.violations == []


def by_preflight(bench: IPhoneBench) -> None:
    client = Client(bench.socket_path)
    with client.watch() as events:
        assert isinstance(events.wait_event(WITHIN_S), DeviceAttached)
        try:
            client.read_pair_record(bench.phone.udid)
        except PairRecordNotFoundError:
            assert isinstance(events.wait_event(WITHIN_S), DevicePaired)


def by_command(bench: IPhoneBench) -> None:
    bench.printed(Spelling.PYMOBILEDEVICE3, *USBMUX, "pair")


@pytest.mark.parametrize("pair", [by_preflight, by_command])
def test_our_pairing_serves_other_programs(
    compatibility: CompatibilityTable, pair: Callable[[IPhoneBench], None]
) -> None:
    with bench(preflight=pair is by_preflight) as phone:
        pair(phone)
        known = phone.phone.hosts.host_ids
        number = str(phone.phone.values.value("SerialNumber"))
        assert phone.printed(Spelling.LIBIMOBILEDEVICE, debian_program("ideviceinfo"), "-k", "SerialNumber") == (
            f"{number}\n"
        )
        assert "SUCCESS" in phone.printed(Spelling.LIBIMOBILEDEVICE, debian_program("idevicepair"), "validate")
        shown = phone.printed(Spelling.PYMOBILEDEVICE3, pymobiledevice3(), "lockdown", "info")
        assert json.loads(shown)["SerialNumber"] == number
        assert json.loads(phone.printed(Spelling.GO_IOS, go_ios(), "info"))["SerialNumber"] == number
        assert len(known) == 1
        assert phone.phone.hosts.host_ids == known
    how = "usbmuxd pairs when the phone comes" if pair is by_preflight else "usbmux pair"
    compatibility.add("all of them", "as above", how, "the others use that pairing")


def by_libimobiledevice(bench: IPhoneBench) -> None:
    assert "SUCCESS" in bench.printed(Spelling.LIBIMOBILEDEVICE, debian_program("idevicepair"), "pair")


def by_pymobiledevice3(bench: IPhoneBench) -> None:
    bench.printed(Spelling.PYMOBILEDEVICE3, pymobiledevice3(), "lockdown", "pair")


def by_go_ios(bench: IPhoneBench) -> None:
    bench.printed(Spelling.GO_IOS, go_ios(), "pair")


@pytest.mark.parametrize("pair", [by_libimobiledevice, by_pymobiledevice3, by_go_ios])
def test_pairing_of_another_program_serves_us(pair: Callable[[IPhoneBench], None]) -> None:
    async def serial_number(address: str) -> object:
        async with AsyncClient(address).lockdown() as phone:
            await phone.start_session()
            return await phone.value("SerialNumber")

    with bench(preflight=False) as phone:
        pair(phone)
        known = phone.phone.hosts.host_ids
        assert phone.printed(Spelling.PYMOBILEDEVICE3, *USBMUX, "validate").startswith("paired with ")
        assert asyncio.run(serial_number(phone.socket_path)) == phone.phone.values.value("SerialNumber")
        with Client(phone.socket_path).lockdown() as lockdown:
            lockdown.start_session()
            lockdown.start_service("com.apple.afc").close()
        phone.printed(Spelling.PYMOBILEDEVICE3, *USBMUX, "unpair")
        assert known
        assert phone.phone.hosts.host_ids == ()
