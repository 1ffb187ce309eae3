"""The service files, judged by systemd and udev."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.packaging.tools import PROJECT, run, tool
from usbmux.commands.install_service import install_service

if TYPE_CHECKING:
    from pathlib import Path

UNITS = ("usbmuxd.service", "usbmuxd.socket", "usbmuxd-admin.socket")
MAX_EXPOSURE = 1.2
LEFT_OUT = {
    "DeviceAllow=",
    "PrivateDevices=",
    "PrivateNetwork=",
    "PrivateUsers=",
    "ProtectProc=",
    "RestrictAddressFamilies=~AF_NETLINK",
    "RestrictAddressFamilies=~AF_UNIX",
    "RootDirectory=/RootImage=",
}
"""What systemd would have us give up, and what the daemon cannot do without: docs/operations.md says why."""

pytestmark = [pytest.mark.interop, pytest.mark.skipif(sys.platform != "linux", reason="systemd is there on Linux only")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root that the service was installed below."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nplugdev:x:46:\n")
    assert install_service(tmp_path, uninstall=False, dry_run=False) == 0
    return tmp_path


def verify(folder: Path) -> str:
    """What systemd finds wrong with the units, among its own others."""
    analyze = tool("systemd-analyze")
    return run(analyze, "verify", "--man=no", *UNITS, environment={"SYSTEMD_UNIT_PATH": f"{folder}:"}).stderr


def about_ours(complaints: str) -> list[str]:
    return [line for line in complaints.splitlines() if "usbmux" in line]


def test_installed_units_have_nothing_that_systemd_complains_about(root: Path) -> None:
    assert about_ours(verify(root / "etc/systemd/system")) == []


def test_unit_with_an_unknown_key_is_complained_about(root: Path) -> None:
    unit = root / "etc/systemd/system/usbmuxd.service"
    unit.write_text(unit.read_text().replace("ProtectClock=", "ProtectClocks="))

    assert about_ours(verify(unit.parent)) != []


def test_service_is_exposed_less_than_promised(root: Path) -> None:
    unit = root / "etc/systemd/system/usbmuxd.service"

    printed = run(tool("systemd-analyze"), "security", "--offline=true", "--no-pager", unit).stdout

    found = re.search(r"Overall exposure level for usbmuxd.service: ([\d.]+)", printed)
    assert found, printed
    assert float(found[1]) <= MAX_EXPOSURE, printed


def test_service_gives_up_all_that_systemd_knows_of_but_what_it_needs(root: Path) -> None:
    unit = root / "etc/systemd/system/usbmuxd.service"

    printed = run(tool("systemd-analyze"), "security", "--offline=true", "--no-pager", "--json=short", unit).stdout

    assert {check["name"] for check in json.loads(printed) if not check["set"]} == LEFT_OUT


def test_fresh_system_gets_a_user_of_its_own_group(root: Path) -> None:
    outcome = run(tool("systemd-sysusers"), f"--root={root}", "usbmux.conf")

    assert outcome.returncode == 0, outcome.stderr
    user = next(line for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("usbmux:"))
    _name, _password, _uid, gid, _text, home, shell = user.split(":")
    assert f"usbmux:x:{gid}:" in (root / "etc/group").read_text().splitlines()
    assert (home, shell) == ("/var/lib/lockdown", "/usr/sbin/nologin")


def test_system_with_the_user_of_another_daemon_gets_the_group(root: Path) -> None:
    other = "usbmux:x:105:46:usbmux daemon:/var/lib/usbmux:/usr/sbin/nologin\n"
    (root / "etc/passwd").write_text((root / "etc/passwd").read_text() + other)

    outcome = run(tool("systemd-sysusers"), f"--root={root}", "usbmux.conf")

    assert outcome.returncode == 0, outcome.stderr
    assert other in (root / "etc/passwd").read_text()
    assert re.search(r"^usbmux:x:\d+:$", (root / "etc/group").read_text(), re.MULTILINE)


def test_records_of_another_daemon_become_ours_alone(root: Path) -> None:
    records = root / "var/lib/lockdown"
    records.mkdir(parents=True)
    (records / "SystemConfiguration.plist").write_text("of another daemon")
    (records / "SystemConfiguration.plist").chmod(0o644)
    if run(tool("systemd-sysusers"), f"--root={root}", "usbmux.conf").returncode != 0 or os.geteuid() != 0:
        pytest.skip("only root can give files away")

    outcome = run(tool("systemd-tmpfiles"), f"--root={root}", "--create", "usbmux.conf")

    assert outcome.returncode == 0, outcome.stderr
    uid = int(re.search(r"^usbmux:x:(\d+):", (root / "etc/passwd").read_text(), re.MULTILINE)[1])  # type: ignore[index]
    for path, mode in ((records, 0o700), (records / "SystemConfiguration.plist", 0o600)):
        assert (path.stat().st_uid, path.stat().st_mode & 0o7777) == (uid, mode)


def test_rule_is_one_that_udev_understands() -> None:
    udevadm = shutil.which("udevadm")
    if udevadm is None or "verify" not in run(udevadm, "--help").stdout:
        pytest.skip("no udevadm that can verify rules; remedy: udev 254 or later")

    outcome = run(
        udevadm, "verify", "--resolve-names=never", PROJECT / "src/usbmux/commands/service_files/udev/60-usbmux.rules"
    )

    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
