"""Unmodified programs pair with a virtual iPhone and ask it who it is."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.interop.programs import debian_program, go_ios, pymobiledevice3, version
from usbmux.control.address import UnixAddress
from usbmux.testing import RunningDaemon
from usbmux.testing.iphone import Identity, Trust, VirtualIPhone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.compatibility import CompatibilityTable

pytestmark = pytest.mark.interop

LIBIMOBILEDEVICE = "UNIX:{path}"
PYMOBILEDEVICE3 = "{path}"
GO_IOS = "unix://{path}"


class Bench:
    """A virtual iPhone behind a daemon, and how programs find it."""

    def __init__(self, phone: VirtualIPhone, daemon: RunningDaemon) -> None:
        self.phone, self.daemon = phone, daemon

    def run(self, spelling: str, *command: str) -> subprocess.CompletedProcess[str]:
        address = self.daemon.address
        assert isinstance(address, UnixAddress)
        environment = os.environ | {"USBMUXD_SOCKET_ADDRESS": spelling.format(path=address.path)}
        return subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
        )

    def printed(self, spelling: str, *command: str) -> str:
        """What a program prints that succeeds."""
        completed = self.run(spelling, *command)
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout


@pytest.fixture
def bench() -> Iterator[Bench]:
    phone = VirtualIPhone(Identity(device_name="Ada"))
    with RunningDaemon([phone.device]) as daemon:
        yield Bench(phone, daemon)
    assert daemon.violations == []


def test_libimobiledevice_pairs_and_reads_and_writes_values(bench: Bench, compatibility: CompatibilityTable) -> None:
    idevicepair, ideviceinfo = debian_program("idevicepair"), debian_program("ideviceinfo")
    idevicename = debian_program("idevicename")
    limd = LIBIMOBILEDEVICE
    assert "DeviceName: Ada\n" in bench.printed(limd, ideviceinfo, "-s")
    assert "SUCCESS" in bench.printed(limd, idevicepair, "pair")
    assert "SUCCESS" in bench.printed(limd, idevicepair, "validate")
    assert "SerialNumber: " in bench.printed(limd, ideviceinfo)
    assert bench.printed(limd, idevicename) == "Ada\n"
    bench.printed(limd, idevicename, "Grace")
    assert bench.phone.values.value("DeviceName") == "Grace"
    assert "SUCCESS" in bench.printed(limd, idevicepair, "unpair")
    assert bench.phone.hosts.host_ids == ()
    release = version(idevicepair, "--version")
    for command, result in (
        ("ideviceinfo", "all values of a virtual iPhone, in a session and without"),
        ("idevicename NAME", "renames a virtual iPhone"),
        ("idevicepair pair, validate, unpair", "pairs with a virtual iPhone"),
    ):
        compatibility.add("libimobiledevice-utils", release, command, result)


def test_libimobiledevice_given_each_state_of_trust_says_what_to_do(bench: Bench) -> None:
    idevicepair = debian_program("idevicepair")
    advice = {Trust.PENDING: "accept the trust dialog", Trust.DENIED: "denied", Trust.LOCKED: "passcode"}
    for trust, words in advice.items():
        bench.phone.hosts.trust = trust
        completed = bench.run(LIBIMOBILEDEVICE, idevicepair, "pair")
        assert completed.returncode
        assert words in completed.stdout + completed.stderr


def test_pymobiledevice3_pairs_and_reads_values(bench: Bench, compatibility: CompatibilityTable) -> None:
    program = pymobiledevice3()
    pmd3 = PYMOBILEDEVICE3
    assert json.loads(bench.printed(pmd3, program, "usbmux", "list"))[0]["DeviceName"] == "Ada"
    bench.printed(pmd3, program, "lockdown", "pair")
    information = json.loads(bench.printed(pmd3, program, "lockdown", "info"))
    assert information["SerialNumber"] == bench.phone.values.value("SerialNumber")
    bench.printed(pmd3, program, "lockdown", "unpair")
    assert bench.phone.hosts.host_ids == ()
    compatibility.add(
        "pymobiledevice3",
        version(program, "version"),
        "pymobiledevice3 lockdown pair, info, unpair",
        "all values of a virtual iPhone",
    )


def test_go_ios_pairs_and_reads_values(bench: Bench, compatibility: CompatibilityTable) -> None:
    program = go_ios()
    bench.printed(GO_IOS, program, "pair")
    information = json.loads(bench.printed(GO_IOS, program, "info"))
    assert information["SerialNumber"] == bench.phone.values.value("SerialNumber")
    assert json.loads(bench.printed(GO_IOS, program, "devicename")) == {"devicename": "Ada"}
    compatibility.add(
        "go-ios", version(program, "--version"), "ios pair, info, devicename", "all values of a virtual iPhone"
    )


def test_pairing_of_one_program_serves_the_others(bench: Bench) -> None:
    bench.printed(GO_IOS, go_ios(), "pair")
    assert "SUCCESS" in bench.printed(LIBIMOBILEDEVICE, debian_program("idevicepair"), "validate")
    assert bench.printed(PYMOBILEDEVICE3, pymobiledevice3(), "lockdown", "device-name").strip() == "Ada"
    assert len(bench.phone.hosts.host_ids) == 1
