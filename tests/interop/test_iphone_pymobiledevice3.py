"""pymobiledevice3 and a virtual iPhone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.interop.iphone_bench import NAME, IPhoneBench, Spelling, line_shown
from tests.interop.programs import pymobiledevice3, version
from tests.support.streams import MEBIBYTE, digest, some_bytes
from usbmux.testing.iphone import Trust
from usbmux.testing.iphone.services.log_entry import LogEntry, LogLevel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.compatibility import CompatibilityTable

pytestmark = pytest.mark.interop

SPELLING = Spelling.PYMOBILEDEVICE3
LENGTH = 8 * MEBIBYTE


@pytest.fixture(scope="module")
def passes(compatibility: CompatibilityTable) -> Callable[[str, str], None]:
    """Notes a command of this program that does what it should."""
    release = version(pymobiledevice3(), "version")
    return lambda command, result: compatibility.add("pymobiledevice3", release, f"pymobiledevice3 {command}", result)


@pytest.fixture(scope="module")
def paired(iphone: IPhoneBench) -> IPhoneBench:
    """The shared phone, which trusts this program."""
    iphone.printed(SPELLING, pymobiledevice3(), "lockdown", "pair")
    return iphone


def test_pymobiledevice3_usbmux_list_names_the_stranger(
    stranger: IPhoneBench, passes: Callable[[str, str], None]
) -> None:
    [listed] = json.loads(stranger.printed(SPELLING, pymobiledevice3(), "usbmux", "list"))
    assert (listed["DeviceName"], listed["Identifier"]) == (NAME, stranger.phone.udid)
    assert listed["ProductVersion"] == "16.7.2"
    assert stranger.phone.hosts.host_ids == ()
    passes("usbmux list", "name and version of a virtual iPhone, unpaired")


def test_pymobiledevice3_lockdown_unpair_makes_the_phone_forget(
    stranger: IPhoneBench, passes: Callable[[str, str], None]
) -> None:
    program = pymobiledevice3()
    stranger.printed(SPELLING, program, "lockdown", "pair")
    [_] = stranger.phone.hosts.host_ids
    stranger.printed(SPELLING, program, "lockdown", "unpair")
    assert stranger.phone.hosts.host_ids == ()
    passes("lockdown pair, unpair", "the phone trusts, and forgets")


def test_pymobiledevice3_pair_waits_until_the_owner_trusts(
    stranger: IPhoneBench, passes: Callable[[str, str], None]
) -> None:
    stranger.phone.hosts.trust = Trust.PENDING
    with stranger.started(SPELLING, pymobiledevice3(), "lockdown", "pair") as pair:
        pair.wait_for_line("waiting user pairing dialog", within_s=60)
        assert not any(stranger.phone.hosts.host_ids)
        stranger.phone.answer_trust(Trust.ACCEPTED)
        assert pair.wait(within_s=60) == 0
    [_] = stranger.phone.hosts.host_ids
    passes("lockdown pair (phone is asking)", "waits for the answer")


def test_pymobiledevice3_lockdown_info_shows_all_values(
    paired: IPhoneBench, passes: Callable[[str, str], None]
) -> None:
    shown = json.loads(paired.printed(SPELLING, pymobiledevice3(), "lockdown", "info"))
    there = paired.phone.values.everything()
    for name in ("TimeIntervalSince1970", "DevicePublicKey"):  # the time goes on, and JSON has no bytes
        assert shown.pop(name)
        del there[name]
    assert shown == there
    passes("lockdown info", "all values, equal to the phone's")


def test_pymobiledevice3_lockdown_get_and_set_change_a_domain(
    paired: IPhoneBench, passes: Callable[[str, str], None]
) -> None:
    program, domain, key = pymobiledevice3(), "com.apple.mobile.wireless_lockdown", "EnableWifiConnections"
    assert json.loads(paired.printed(SPELLING, program, "lockdown", "wifi-connections")) == {key: False}
    paired.printed(SPELLING, program, "lockdown", "wifi-connections", "on")
    assert paired.phone.values.value(key, domain) is True
    passes("lockdown wifi-connections [on]", "a value of a domain, and a new one")


def test_pymobiledevice3_afc_moves_files_unchanged(
    paired: IPhoneBench, passes: Callable[[str, str], None], tmp_path: Path
) -> None:
    program, there = pymobiledevice3(), "/Downloads/sent"
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(some_bytes(LENGTH))
    paired.printed(SPELLING, program, "afc", "push", str(sent), there)
    assert there in paired.printed(SPELLING, program, "afc", "ls", "/Downloads").split()
    paired.printed(SPELLING, program, "afc", "pull", there, str(back))
    assert digest(back.read_bytes()) == digest(sent.read_bytes())
    paired.printed(SPELLING, program, "afc", "rm", there)
    assert there not in paired.printed(SPELLING, program, "afc", "ls", "/Downloads").split()
    passes("afc push, ls, pull, rm", "8 MiB there and back, equal digests")


@pytest.mark.parametrize("command", ["live", "live-old"])
def test_pymobiledevice3_syslog_shows_what_is_logged(
    paired: IPhoneBench, passes: Callable[[str, str], None], command: str
) -> None:
    log = paired.phone.log
    entry = LogEntry("the first line", process_path="/usr/libexec/thermald", pid=77, level=LogLevel.ERROR)
    with paired.started(SPELLING, pymobiledevice3(), "syslog", command) as syslog:
        line = line_shown(syslog, "the first line", lambda: log.post(entry))
    assert "thermald" in line
    assert "77" in line
    passes(f"syslog {command}", "lines as they are logged")


def test_pymobiledevice3_diagnostics_tells_of_the_battery(
    paired: IPhoneBench, passes: Callable[[str, str], None]
) -> None:
    shown = json.loads(paired.printed(SPELLING, pymobiledevice3(), "diagnostics", "battery", "single"))
    assert (shown["CurrentCapacity"], shown["CycleCount"]) == (87, 312)
    passes("diagnostics battery single", "charge and cycles of the battery")


def test_pymobiledevice3_apps_list_tells_what_is_installed(
    paired: IPhoneBench, passes: Callable[[str, str], None]
) -> None:
    shown = json.loads(paired.printed(SPELLING, pymobiledevice3(), "apps", "list"))
    assert shown["com.example.notes"]["CFBundleDisplayName"] == "Notes"
    assert shown["com.apple.mobilesafari"]["ApplicationType"] == "System"
    passes("apps list", "what is installed")
