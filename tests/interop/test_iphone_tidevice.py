"""tidevice and a virtual iPhone, which was paired before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.interop.iphone_bench import NAME, IPhoneBench, Spelling, line_shown
from tests.interop.programs import debian_program, tidevice, version
from tests.support.streams import MEBIBYTE, digest, some_bytes
from usbmux.testing.iphone.services.log_entry import LogEntry
from usbmux.testing.iphone.services.screenshotr import draw_home_screen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.compatibility import CompatibilityTable

pytestmark = pytest.mark.interop

LENGTH = 8 * MEBIBYTE


@pytest.fixture(scope="module")
def passes(compatibility: CompatibilityTable) -> Callable[[str, str], None]:
    """Notes a command of this program that does what it should."""
    release = version(tidevice(), "version")
    return lambda command, result: compatibility.add("tidevice", release, f"tidevice {command}", result)


@pytest.fixture(scope="module")
def command(iphone: IPhoneBench) -> Callable[..., tuple[str, ...]]:
    """The program, told of a phone that trusts this host."""
    iphone.printed(Spelling.LIBIMOBILEDEVICE, debian_program("idevicepair"), "pair")
    return lambda *arguments: (tidevice(), "--socket", iphone.socket_path, *arguments)


def test_tidevice_list_and_info_describe_the_phone(
    iphone: IPhoneBench, command: Callable[..., tuple[str, ...]], passes: Callable[[str, str], None]
) -> None:
    [listed] = json.loads(iphone.printed("", *command("list", "--json")))
    assert (listed["udid"], listed["name"], listed["product_version"]) == (iphone.phone.udid, NAME, "16.7.2")
    shown = json.loads(iphone.printed("", *command("info", "--json")))
    assert shown["SerialNumber"] == iphone.phone.values.value("SerialNumber")
    assert iphone.printed("", *command("info", "-k", "DeviceName")) == f"'{NAME}'\n"
    passes("list, info [-k KEY]", "name, version and values")


def test_tidevice_fsync_moves_files_unchanged(
    iphone: IPhoneBench,
    command: Callable[..., tuple[str, ...]],
    passes: Callable[[str, str], None],
    tmp_path: Path,
) -> None:
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(some_bytes(LENGTH))
    iphone.printed("", *command("fsync", "push", str(sent), "/Downloads/sent"))
    assert "sent" in iphone.printed("", *command("fsync", "ls", "/Downloads"))
    iphone.printed("", *command("fsync", "pull", "/Downloads/sent", str(back)))
    assert digest(back.read_bytes()) == digest(sent.read_bytes())
    passes("fsync push, ls, pull", "8 MiB there and back, equal digests")


def test_tidevice_services_tell_of_applications_and_battery(
    iphone: IPhoneBench,
    command: Callable[..., tuple[str, ...]],
    passes: Callable[[str, str], None],
    tmp_path: Path,
) -> None:
    assert iphone.printed("", *command("applist")).split() == ["com.example.notes", "Notes", "1.0"]
    battery = json.loads(iphone.printed("", *command("battery", "--json")))
    assert battery["Diagnostics"]["IORegistry"]["CurrentCapacity"] == 87
    iphone.printed("", *command("screenshot", str(tmp_path / "picture.png")))
    assert (tmp_path / "picture.png").read_bytes().startswith(draw_home_screen()[:8])
    passes("applist, battery --json, screenshot FILE", "applications, charge, a picture")


def test_tidevice_syslog_shows_what_is_logged(
    iphone: IPhoneBench, command: Callable[..., tuple[str, ...]], passes: Callable[[str, str], None]
) -> None:
    entry = LogEntry("the first line", process_path="/usr/libexec/thermald", pid=77)
    with iphone.started("", *command("syslog")) as syslog:
        line = line_shown(syslog, "the first line", lambda: iphone.phone.log.post(entry))
    assert "thermald[77] <Notice>: the first line" in line
    passes("syslog", "lines as they are logged")
