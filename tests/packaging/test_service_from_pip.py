"""`usbmux install-service` under a running systemd, from a virtual environment below /opt."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import usb1

from tests.packaging.booted import BootedDebian, require_systemd
from tests.packaging.tools import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux", reason="systemd is there on Linux only"),
]
PHONES = "[Service]\nExecStart=\nExecStart=/opt/usbmux/bin/usbmuxd --systemd --simulate 2 --usb\n"
# What an installation with pip makes, without a network to get pip from.
ENVIRONMENT = """\
set -e
python3 -m venv --without-pip --system-site-packages /opt/usbmux
cp -r /mnt/usbmux /mnt/usb1 /opt/usbmux/lib/python3*/site-packages
for name in usbmux usbmuxd; do
    printf '#!/opt/usbmux/bin/python\nimport sys\nfrom usbmux.commands import start\nsys.exit(start.%s())\n' "$name" \
        >"/opt/usbmux/bin/$name"
    chmod +x "/opt/usbmux/bin/$name"
done
/opt/usbmux/bin/python -m compileall -q /opt/usbmux
"""
COMMAND = ("/opt/usbmux/bin/usbmux", "install-service")
SOCKETS = ("usbmuxd.socket", "usbmuxd-admin.socket")
USERS = {f"/etc/{name}{end}" for name in ("passwd", "group", "shadow", "gshadow") for end in ("", "-")}


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BootedDebian]:
    """A Debian with our commands, and no service yet."""
    require_systemd()
    brought = tmp_path_factory.mktemp("brought")
    for folder in (PROJECT / "src/usbmux", Path(usb1.__file__).parent):
        shutil.copytree(folder, brought / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    with BootedDebian(tmp_path_factory.mktemp("debian"), brought) as debian:
        debian.succeed("sh", "-c", ENVIRONMENT)
        debian.write("/run/systemd/system/usbmuxd.service.d/test.conf", PHONES)
        yield debian


def test_dry_run_prints_what_an_installation_would_do_and_changes_nothing(debian: BootedDebian) -> None:
    before = debian.listing()

    printed = debian.succeed(*COMMAND, "--dry-run")

    assert debian.listing() == before
    assert "write /etc/systemd/system/usbmuxd.service\n" in printed
    assert "run systemctl enable --now usbmuxd.socket usbmuxd-admin.socket\n" in printed


def test_installed_it_serves_and_uninstalled_only_its_user_and_records_are_left(debian: BootedDebian) -> None:
    would_do = debian.succeed(*COMMAND, "--dry-run")
    before = debian.listing()

    assert debian.succeed(*COMMAND) == would_do
    assert [debian.value(unit, "ActiveState") for unit in SOCKETS] == ["active", "active"]
    assert [debian.value(unit, "UnitFileState") for unit in SOCKETS] == ["enabled", "enabled"]
    assert len(debian.succeed("/opt/usbmux/bin/usbmux", "list").split()) == 2
    assert debian.value("usbmuxd.service", "ActiveState") == "active"
    assert debian.succeed("stat", "--format=%U %G %a", "/var/lib/lockdown") == "usbmux usbmux 700\n"
    serving = debian.value("usbmuxd.service", "MainPID")
    debian.succeed(*COMMAND)
    assert debian.value("usbmuxd.service", "MainPID") != serving  # an upgrade takes effect
    assert len(debian.succeed("/opt/usbmux/bin/usbmux", "list").split()) == 2

    debian.succeed(*COMMAND, "--uninstall")

    assert [debian.value(unit, "ActiveState") for unit in (*SOCKETS, "usbmuxd.service")] == ["inactive"] * 3
    assert debian.run("sh", "-c", "ls -d /run/usbmux*").stdout == ""
    changed = {line.split()[0] for line in debian.listing() ^ before}
    assert changed <= USERS | {"/etc/.pwd.lock", "/var/lib/lockdown"}, changed
    assert debian.succeed(*COMMAND, "--uninstall") == "not installed: nothing to remove\n"
