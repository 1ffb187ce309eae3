"""Whatever program pairs, all others use that pairing, of which there is one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.interop.iphone_bench import NAME, IPhoneBench, Spelling
from tests.interop.programs import debian_program, go_ios, pymobiledevice3, tidevice

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.interop.compatibility import CompatibilityTable

pytestmark = pytest.mark.interop


def by_libimobiledevice(bench: IPhoneBench) -> None:
    assert "SUCCESS" in bench.printed(Spelling.LIBIMOBILEDEVICE, debian_program("idevicepair"), "pair")


def by_pymobiledevice3(bench: IPhoneBench) -> None:
    bench.printed(Spelling.PYMOBILEDEVICE3, pymobiledevice3(), "lockdown", "pair")


def by_go_ios(bench: IPhoneBench) -> None:
    bench.printed(Spelling.GO_IOS, go_ios(), "pair")


@pytest.mark.parametrize("pair", [by_libimobiledevice, by_pymobiledevice3, by_go_ios])
def test_one_pairing_serves_all_programs(
    stranger: IPhoneBench, compatibility: CompatibilityTable, pair: Callable[[IPhoneBench], None]
) -> None:
    pair(stranger)
    known = stranger.phone.hosts.host_ids
    serial_number = stranger.phone.values.value("SerialNumber")

    limd = Spelling.LIBIMOBILEDEVICE
    assert "SUCCESS" in stranger.printed(limd, debian_program("idevicepair"), "validate")
    assert stranger.printed(limd, debian_program("ideviceinfo"), "-k", "SerialNumber") == f"{serial_number}\n"
    shown = stranger.printed(Spelling.PYMOBILEDEVICE3, pymobiledevice3(), "lockdown", "info")
    assert json.loads(shown)["SerialNumber"] == serial_number
    assert json.loads(stranger.printed(Spelling.GO_IOS, go_ios(), "devicename")) == {"devicename": NAME}
    shown = stranger.printed("", tidevice(), "--socket", stranger.socket_path, "info", "-k", "SerialNumber")
    assert shown == f"'{serial_number}'\n"

    assert len(known) == 1
    assert stranger.phone.hosts.host_ids == known
    compatibility.add(
        "all of them",
        "as above",
        "one pairs: idevicepair, pymobiledevice3 or ios",
        "the others, and tidevice, use that pairing",
    )
