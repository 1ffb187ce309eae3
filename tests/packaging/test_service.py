"""The package under a running systemd: its sandbox, sockets, watchdog, restarts, and what is left when it goes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.packaging.booted import BootedDebian, require_systemd, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux", reason="systemd is there on Linux only"),
]
SERVICE = "usbmuxd.service"
SOCKETS = ("usbmuxd.socket", "usbmuxd-admin.socket")
DROP_IN = "/etc/systemd/system/usbmuxd.service.d/test.conf"
# A refused system call ends the daemon, where the unit as it is shipped only lets the call fail. The bus of real
# devices is opened too, as libusb makes calls of its own.
PHONES_AND_NO_MERCY = """\
[Service]
ExecStart=
ExecStart=/usr/sbin/usbmuxd --systemd --verbose --simulate 2 --usb
SystemCallErrorNumber=kill
WatchdogSec=3
"""


@pytest.fixture(scope="module")
def debian(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BootedDebian]:
    """A Debian into which the package was installed while it ran."""
    require_systemd()
    with BootedDebian(tmp_path_factory.mktemp("debian"), package.parent) as debian:
        debian.write(DROP_IN, PHONES_AND_NO_MERCY)
        debian.succeed("dpkg", "--install", f"/mnt/{package.name}")
        debian.succeed("useradd", "--groups", "usbmux", "member")
        yield debian


def state(debian: BootedDebian) -> str:
    return debian.value(SERVICE, "ActiveState")


def pid(debian: BootedDebian) -> str:
    return debian.value(SERVICE, "MainPID")


def restarts(debian: BootedDebian) -> int:
    return int(debian.value(SERVICE, "NRestarts"))


def serve(debian: BootedDebian) -> None:
    """Let it run, with all that came before forgotten."""
    debian.succeed("systemctl", "reset-failed", SERVICE)
    debian.succeed("systemctl", "start", SERVICE)


def test_installed_sockets_are_open_and_the_first_client_starts_the_daemon(debian: BootedDebian) -> None:
    debian.succeed("systemctl", "stop", SERVICE)

    listed = debian.succeed("usbmux", "list", user="member")

    assert len(listed.split()) == 2
    assert state(debian) == "active"
    assert [debian.value(unit, "ActiveState") for unit in SOCKETS] == ["active", "active"]
    assert debian.value("usbmuxd.socket", "UnitFileState") == "enabled"


def test_sandboxed_daemon_does_all_that_clients_ask_without_a_refused_system_call(debian: BootedDebian) -> None:
    serve(debian)
    before = restarts(debian)

    phone = debian.succeed("usbmux", "list").split()[0]
    told = debian.run("usbmux", "conform", "/run/usbmuxd", "--udid", phone, "--port", "7", user="member")
    debian.succeed("usbmux", "status", "-l")

    assert (state(debian), restarts(debian)) == ("active", before), debian.log()
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.endswith(" conforms, 0 deviates, 0 no answer, 0 skipped\n"), told.stdout


def test_sandboxed_daemon_has_the_rights_that_the_unit_leaves_it(debian: BootedDebian) -> None:
    serve(debian)
    text = debian.succeed("cat", f"/proc/{pid(debian)}/status")
    status = dict(line.split(":\t", 1) for line in text.splitlines())

    assert set(status["Uid"].split()) == {debian.succeed("id", "--user", "usbmux").strip()}
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"], status["Umask"]) == ("1", "2", "0077")


@pytest.mark.parametrize(
    ("path", "is_writable"),
    [
        ("/var/lib/lockdown", True),
        ("/run/usbmux", True),
        ("/tmp", True),
        ("/etc", False),
        ("/usr", False),
        ("/var/lib", False),
        ("/home", False),
        ("/root", False),
    ],
)
def test_sandboxed_daemon_finds_the_file_system_writable_where_it_must_be(
    debian: BootedDebian, path: str, is_writable: bool
) -> None:
    serve(debian)
    probe = ["nsenter", f"--mount=/proc/{pid(debian)}/ns/mnt", "touch", f"{path}/probe"]
    assert (debian.run(*probe).returncode == 0) is is_writable


def test_reloaded_daemon_has_read_its_configuration(debian: BootedDebian) -> None:
    serve(debian)
    before = pid(debian)

    debian.succeed("systemctl", "reload", SERVICE)

    wait_until(lambda: "reloaded: log, verbosity, rules and limits" in debian.log(), "it has not reloaded")
    assert pid(debian) == before


def test_restarted_daemon_refuses_nobody_meanwhile(debian: BootedDebian) -> None:
    serve(debian)
    script = "systemctl restart --no-block usbmuxd.service; for _ in 1 2 3 4 5; do usbmux list || exit 1; done"
    before = pid(debian)

    debian.succeed("sh", "-c", script)

    wait_until(lambda: state(debian) == "active" and pid(debian) != before, "it has not restarted")


def test_killed_daemon_is_started_again(debian: BootedDebian) -> None:
    serve(debian)
    before = restarts(debian)

    debian.succeed("systemctl", "kill", "--kill-whom=main", "--signal=KILL", SERVICE)

    assert len(debian.succeed("usbmux", "list").split()) == 2
    wait_until(lambda: restarts(debian) == before + 1, "it was not started again")


def test_daemon_that_stands_still_is_killed_and_started_again(debian: BootedDebian) -> None:
    serve(debian)
    before = pid(debian)

    debian.succeed("systemctl", "kill", "--kill-whom=main", "--signal=STOP", SERVICE)

    wait_until(lambda: state(debian) == "active" and pid(debian) != before, "nobody has noticed")
    assert "Watchdog timeout" in debian.log()
    assert len(debian.succeed("usbmux", "list").split()) == 2


def test_removed_package_leaves_nothing_that_runs_or_listens(debian: BootedDebian, package: Path) -> None:
    serve(debian)

    debian.succeed("rm", DROP_IN)
    debian.succeed("dpkg", "--purge", "usbmux")
    try:
        assert state(debian) == "inactive"
        assert debian.succeed("find", "/run", "/etc", "/var", "-name", "*usbmux*") == ""
    finally:
        debian.write(DROP_IN, PHONES_AND_NO_MERCY)
        debian.succeed("dpkg", "--install", f"/mnt/{package.name}")
