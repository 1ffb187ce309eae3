"""go-ios and a virtual iPhone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.iphone_bench import NAME, IPhoneBench, Spelling, line_shown
from tests.interop.programs import go_ios, version
from tests.support.streams import MEBIBYTE, digest, some_bytes
from usbmux.testing.iphone import Trust
from usbmux.testing.iphone.services.log_entry import LogEntry, LogLevel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.compatibility import CompatibilityTable

pytestmark = pytest.mark.interop

SPELLING = Spelling.GO_IOS
LENGTH = 8 * MEBIBYTE


@pytest.fixture(scope="module")
def passes(compatibility: CompatibilityTable) -> Callable[[str, str], None]:
    """Notes a command of this program that does what it should."""
    release = version(go_ios(), "--version")
    return lambda command, result: compatibility.add("go-ios", release, f"ios {command}", result)


@pytest.fixture(scope="module")
def paired(iphone: IPhoneBench) -> IPhoneBench:
    """The shared phone, which trusts this program."""
    iphone.printed(SPELLING, go_ios(), "pair")
    return iphone


def answered(bench: IPhoneBench, *command: str) -> Any:
    return json.loads(bench.printed(SPELLING, go_ios(), *command))


def test_go_ios_pair_makes_the_phone_trust(stranger: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    stranger.phone.hosts.trust = Trust.PENDING
    assert stranger.run(SPELLING, go_ios(), "pair").returncode
    stranger.phone.answer_trust(Trust.ACCEPTED)
    stranger.printed(SPELLING, go_ios(), "pair")
    [host_id] = stranger.phone.hosts.host_ids
    assert answered(stranger, "readpair")["HostID"] == host_id
    passes("pair, readpair", "the phone trusts, after it has asked")


def test_go_ios_list_details_describes_the_phone(paired: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    [listed] = answered(paired, "list", "--details")["deviceList"]
    assert listed == {
        "Udid": paired.phone.udid,
        "ProductName": "iPhone OS",
        "ProductType": "iPhone12,1",
        "ProductVersion": "16.7.2",
        "ConnectionType": "USB",
    }
    passes("list --details", "name, type and version")


def test_go_ios_info_shows_values_of_every_type(paired: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    shown, there = answered(paired, "info"), paired.phone.values.everything()
    for name in ("SerialNumber", "DieID", "UniqueChipID", "SupportedDeviceFamilies", "HasSiDP", "WiFiAddress"):
        assert shown[name] == there[name], name
    assert answered(paired, "lockdown", "get", "BuildVersion") == there["BuildVersion"]
    assert answered(paired, "devicename") == {"devicename": NAME}
    assert answered(paired, "date")["TimeIntervalSince1970"] == pytest.approx(there["TimeIntervalSince1970"], abs=60)
    passes("info, lockdown get KEY, devicename, date", "values of every type, equal to the phone's")


def test_go_ios_domains_are_shown(paired: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    assert answered(paired, "batterycheck")["BatteryCurrentCapacity"] == 87
    assert answered(paired, "lang")["SupportedLanguages"] == ["en", "de", "fr", "ja"]
    assert answered(paired, "devmode", "get") == {"DeveloperModeEnabled": True}
    passes("batterycheck, lang, devmode get", "values of domains, equal to the phone's")


def test_go_ios_fsync_moves_files_unchanged(
    paired: IPhoneBench, passes: Callable[[str, str], None], tmp_path: Path
) -> None:
    program, folder, there = go_ios(), "/Downloads/made", "/Downloads/made/sent"
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(some_bytes(LENGTH))
    paired.printed(SPELLING, program, "fsync", "mkdir", f"--path={folder}")
    paired.printed(SPELLING, program, "fsync", "push", f"--srcPath={sent}", f"--dstPath={there}")
    assert "-sent\n" in paired.printed(SPELLING, program, "fsync", "tree", "--path=/Downloads")
    paired.printed(SPELLING, program, "fsync", "pull", f"--srcPath={there}", f"--dstPath={back}")
    assert digest((back / "sent").read_bytes()) == digest(sent.read_bytes())
    paired.printed(SPELLING, program, "fsync", "rm", "--r", f"--path={folder}")
    assert "made" not in paired.printed(SPELLING, program, "fsync", "tree", "--path=/Downloads")
    passes("fsync mkdir, push, tree, pull, rm --r", "8 MiB there and back, equal digests")


def test_go_ios_syslog_shows_what_is_logged(paired: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    log = paired.phone.log
    entry = LogEntry("the first line", process_path="/usr/libexec/thermald", pid=77, level=LogLevel.ERROR)
    with paired.started(SPELLING, go_ios(), "syslog") as syslog:
        line = json.loads(line_shown(syslog, "the first line", lambda: log.post(entry)))
    assert line["msg"].endswith(" thermald[77] <Error>: the first line")
    passes("syslog", "lines as they are logged")


def test_go_ios_diagnostics_tells_of_the_battery(paired: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    assert answered(paired, "diagnostics", "list")["Diagnostics"]["GasGauge"]["CycleCount"] == 312
    assert answered(paired, "batteryregistry")["CurrentCapacity"] == 87
    assert answered(paired, "diskspace")["BlockSize"] == 4096
    passes("diagnostics list, batteryregistry, diskspace", "battery and room")


def test_go_ios_apps_list_tells_what_is_installed(paired: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    assert paired.printed(SPELLING, go_ios(), "apps", "--list").split() == ["com.example.notes", "Notes", "1.0"]
    assert "com.apple.mobilesafari MobileSafari 16.6\n" in paired.printed(
        SPELLING, go_ios(), "apps", "--system", "--list"
    )
    passes("apps [--system] --list", "what is installed")
