"""Debian's libimobiledevice-utils and a virtual iPhone."""

from __future__ import annotations

import calendar
import plistlib
import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.interop.iphone_bench import NAME, IPhoneBench, Spelling, line_shown
from tests.interop.programs import debian_program, version
from usbmux.testing.iphone import Trust
from usbmux.testing.iphone.services.log_entry import LogEntry, LogLevel
from usbmux.testing.iphone.services.screenshotr import draw_home_screen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.compatibility import CompatibilityTable

pytestmark = pytest.mark.interop

SPELLING = Spelling.LIBIMOBILEDEVICE
COLOUR = re.compile(r"\x1b\[[\d;]*m")
SET_TIME_S = 1_700_000_000


@pytest.fixture(scope="module")
def passes(compatibility: CompatibilityTable) -> Callable[[str, str], None]:
    """Notes a command of these utilities that does what it should."""
    release = version(debian_program("idevice_id"), "--version")
    return lambda command, result: compatibility.add("libimobiledevice-utils", release, command, result)


@pytest.fixture(scope="module")
def paired(iphone: IPhoneBench) -> IPhoneBench:
    """The shared phone, which trusts these utilities."""
    assert "SUCCESS" in iphone.printed(SPELLING, debian_program("idevicepair"), "pair")
    return iphone


def test_idevice_id_names_the_phone(stranger: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    program = debian_program("idevice_id")
    assert stranger.printed(SPELLING, program, "-l").split() == [stranger.phone.udid]
    assert stranger.printed(SPELLING, program, stranger.phone.udid) == f"{NAME}\n"
    passes("idevice_id UDID", "tells the name of a virtual iPhone")


def test_ideviceinfo_unpaired_shows_what_is_no_secret(
    stranger: IPhoneBench, passes: Callable[[str, str], None]
) -> None:
    program = debian_program("ideviceinfo")
    shown = plistlib.loads(stranger.printed(SPELLING, program, "-s", "-x").encode())
    assert shown["ProductType"] == stranger.phone.values.value("ProductType")
    assert "SerialNumber" not in shown
    assert stranger.printed(SPELLING, program, "-s", "-k", "DeviceName") == f"{NAME}\n"
    assert stranger.phone.hosts.host_ids == ()
    passes("ideviceinfo -s [-k KEY] [-x]", "the values that need no pairing")


def test_ideviceinfo_shows_all_values(paired: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    program = debian_program("ideviceinfo")
    shown = plistlib.loads(paired.printed(SPELLING, program, "-x").encode())
    there = paired.phone.values.everything()
    assert shown.pop("TimeIntervalSince1970") == pytest.approx(there.pop("TimeIntervalSince1970"), abs=60)
    assert shown == there
    assert f"SerialNumber: {there['SerialNumber']}\n" in paired.printed(SPELLING, program)
    passes("ideviceinfo [-x]", "all values, equal to the phone's")


def test_ideviceinfo_shows_domains_and_keys(paired: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    program, battery = debian_program("ideviceinfo"), "com.apple.mobile.battery"
    shown = plistlib.loads(paired.printed(SPELLING, program, "-q", battery, "-x").encode())
    assert shown == paired.phone.values.everything(battery)
    assert paired.printed(SPELLING, program, "-q", battery, "-k", "BatteryCurrentCapacity") == "87\n"
    assert paired.printed(SPELLING, program, "-k", "ProductVersion") == "16.7.2\n"
    passes("ideviceinfo -q DOMAIN [-k KEY]", "the values of a domain, equal to the phone's")


def test_idevicepair_pairs_validates_and_unpairs(stranger: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    program = debian_program("idevicepair")
    assert "SUCCESS" in stranger.printed(SPELLING, program, "pair")
    [host_id] = stranger.phone.hosts.host_ids
    assert stranger.printed(SPELLING, program, "hostid") == f"{host_id}\n"
    assert "SUCCESS" in stranger.printed(SPELLING, program, "validate")
    assert "SUCCESS" in stranger.printed(SPELLING, program, "unpair")
    assert stranger.phone.hosts.host_ids == ()
    passes("idevicepair pair, hostid, validate, unpair", "the phone trusts, and forgets")


@pytest.mark.parametrize(
    ("trust", "advice"),
    [(Trust.PENDING, "accept the trust dialog"), (Trust.DENIED, "denied"), (Trust.LOCKED, "passcode")],
)
def test_idevicepair_given_no_trust_says_what_to_do(
    stranger: IPhoneBench, passes: Callable[[str, str], None], trust: Trust, advice: str
) -> None:
    stranger.phone.hosts.trust = trust
    completed = stranger.run(SPELLING, debian_program("idevicepair"), "pair")
    assert completed.returncode
    assert advice in completed.stdout + completed.stderr
    stranger.phone.answer_trust(Trust.ACCEPTED)
    assert "SUCCESS" in stranger.printed(SPELLING, debian_program("idevicepair"), "pair")
    passes("idevicepair pair (phone locked, asking, or answered No)", "says so, and pairs when asked again")


def test_idevicepair_list_names_the_record_of_the_daemon(
    paired: IPhoneBench, passes: Callable[[str, str], None]
) -> None:
    # It does not ask the daemon, but looks for records where the daemon of the system keeps them.
    program, records = debian_program("idevicepair"), f"{paired.socket_path.rpartition('/')[0]}/lockdown"
    private = ["unshare", "-rm", "mount", "--bind", records, "/var/lib/lockdown"]
    if shutil.which("unshare") is None or subprocess.run(private, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("no private /var/lib/lockdown; remedy: mkdir it, and allow user namespaces")
    command = f"mount --bind {records} /var/lib/lockdown && {program} list"
    assert paired.printed(SPELLING, "unshare", "-rm", "sh", "-c", command).split() == [paired.phone.udid]
    passes("idevicepair list", "names the phone of our pair record")


def test_idevicename_gets_and_sets_the_name(stranger: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    program = debian_program("idevicename")
    assert stranger.printed(SPELLING, program) == f"{NAME}\n"
    stranger.printed(SPELLING, program, "Größe")
    assert stranger.phone.values.value("DeviceName") == "Größe"
    assert stranger.printed(SPELLING, program) == "Größe\n"
    passes("idevicename [NAME]", "the name, and a new one")


def test_idevicedate_gets_and_sets_the_time(stranger: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    program = debian_program("idevicedate")
    shown = time.strptime(stranger.printed(SPELLING, program).strip(), "%a %b %d %H:%M:%S UTC %Y")
    assert abs(calendar.timegm(shown) - time.time()) < 120
    stranger.printed(SPELLING, program, "-s", str(SET_TIME_S))
    now = stranger.phone.values.value("TimeIntervalSince1970")
    assert isinstance(now, float)
    assert 0 <= now - SET_TIME_S < 120
    passes("idevicedate [-s SECONDS]", "the time, and another one")


def test_idevicesyslog_shows_what_is_logged(paired: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    log = paired.phone.log
    entry = LogEntry("the first line", process_path="/usr/libexec/thermald", pid=77, level=LogLevel.ERROR)
    with paired.started(SPELLING, debian_program("idevicesyslog")) as syslog:
        first = COLOUR.sub("", line_shown(syslog, "the first line", lambda: log.post(entry)))
        second = COLOUR.sub("", line_shown(syslog, "Gr", lambda: log.post(LogEntry("Grüße"))))
    assert first.endswith(" thermald[77] <Error>: the first line\n")
    assert second.endswith(" SpringBoard[61] <Notice>: Gr\\M-C\\M-<\\M-C\\M^_e\n")  # as a phone sends it
    passes("idevicesyslog", "lines as they are logged")


def test_idevicediagnostics_tells_of_battery_and_model(paired: IPhoneBench, passes: Callable[[str, str], None]) -> None:
    program = debian_program("idevicediagnostics")

    def report(*command: str) -> dict[str, dict[str, object]]:
        read: dict[str, dict[str, object]] = plistlib.loads(
            paired.printed(SPELLING, program, *command).strip().encode()
        )
        return read

    assert report("diagnostics", "All")["GasGauge"]["CycleCount"] == 312
    assert report("mobilegestalt", "ProductVersion")["MobileGestalt"]["ProductVersion"] == "16.7.2"
    assert report("ioregentry", "AppleSmartBattery")["IORegistry"]["CurrentCapacity"] == 87
    assert report("ioreg", "IODeviceTree")["IORegistry"]["name"] == "Root"
    passes("idevicediagnostics diagnostics, mobilegestalt, ioreg, ioregentry", "battery and model")


def test_idevicescreenshot_saves_the_picture(
    paired: IPhoneBench, passes: Callable[[str, str], None], tmp_path: Path
) -> None:
    picture = tmp_path / "picture.png"
    paired.printed(SPELLING, debian_program("idevicescreenshot"), str(picture))
    assert picture.read_bytes() == draw_home_screen()
    passes("idevicescreenshot FILE", "the phone's picture, byte for byte")


def test_idevicenotificationproxy_posts_to_who_observes(
    paired: IPhoneBench, passes: Callable[[str, str], None]
) -> None:
    program, name = debian_program("idevicenotificationproxy"), "com.example.tested"
    with paired.started(SPELLING, program, "observe", name) as observer:
        line_shown(observer, rf"> {name}", lambda: paired.printed(SPELLING, program, "post", name))
    passes("idevicenotificationproxy observe, post", "what one posts the other observes")


def test_ideviceinstaller_lists_applications(paired: IPhoneBench, compatibility: CompatibilityTable) -> None:
    program = debian_program("ideviceinstaller")
    assert 'com.example.notes, "1", "Notes"\n' in paired.printed(SPELLING, program, "-l")
    everything = plistlib.loads(paired.printed(SPELLING, program, "-l", "-o", "list_all", "-o", "xml").encode())
    assert [entry["CFBundleIdentifier"] for entry in everything] == [
        "com.apple.mobilesafari",
        "com.apple.Preferences",
        "com.apple.mobileslideshow",
        "com.example.notes",
    ]
    compatibility.add("ideviceinstaller", version(program, "--version"), "ideviceinstaller -l", "what is installed")


def test_idevicepair_revoked_on_the_phone_is_refused(stranger: IPhoneBench) -> None:
    stranger.printed(SPELLING, debian_program("idevicepair"), "pair")
    stranger.phone.hosts.revoke()
    stranger.phone.hosts.trust = Trust.DENIED
    completed = stranger.run(SPELLING, debian_program("ideviceinfo"))
    assert completed.returncode
    assert stranger.phone.hosts.host_ids == ()
