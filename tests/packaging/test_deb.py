"""The Debian package: built, judged, installed into a Debian, used by several users, removed and purged."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.packaging.chroot import Chroot, require_chroot
from tests.packaging.tools import PROJECT, build_package, run, tool
from usbmux import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.process import ChildProcess

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux", reason="Debian packages are made on Debian"),
]
LEFT = re.compile(
    r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?|/etc/\.pwd\.lock"  # users, whose numbers must not be reused
    r"|/var/lib/dpkg/.*|/var/log/dpkg\.log|/srv/usbmux_.*\.deb"  # dpkg's books, and what the test brought
    r"|/run/usbmuxd(\.admin)?"  # a daemon that has given up root cannot remove them; they end with the computer's run
)


@pytest.fixture
def debian(package: Path, tmp_path: Path) -> Iterator[Chroot]:
    """A Debian with our package."""
    require_chroot()
    with Chroot(tmp_path) as debian:
        debian.succeed("dpkg", "--install", debian.take(package))
        yield debian


def start_daemon(debian: Chroot) -> ChildProcess:
    daemon = debian.start("usbmuxd", "--foreground", "--simulate", "2", "--user", "usbmux")
    try:
        daemon.wait_for_line("usbmuxd ready: unix:/var/run/usbmuxd")
    except BaseException:
        daemon.stop()
        raise
    return daemon


def test_package_has_nothing_that_lintian_warns_about(package: Path) -> None:
    outcome = run(tool("lintian"), "--allow-root", "--fail-on", "error,warning", package, within_s=120)

    assert (outcome.returncode, outcome.stdout) == (0, "")


def test_package_takes_the_place_of_the_other_daemon(package: Path) -> None:
    for field in ("Provides", "Conflicts", "Replaces"):
        assert run("dpkg-deb", "--field", package, field).stdout == "usbmuxd\n"
    assert run("dpkg-deb", "--field", package, "Version").stdout == f"{__version__}\n"


def test_compat_takes_the_place_of_the_other_programs_and_of_nothing_else(package: Path) -> None:
    compat = package.with_name(f"usbmux-compat_{__version__}_all.deb")
    for field in ("Provides", "Conflicts", "Replaces"):
        assert run("dpkg-deb", "--field", compat, field).stdout == "libusbmuxd-tools\n"
    listed = run("dpkg-deb", "--contents", compat).stdout
    assert {line.split()[5] for line in listed.splitlines() if "/bin/" in line and not line.endswith("/")} == {
        "./usr/bin/iproxy", "./usr/bin/inetcat"
    }  # fmt: skip
    outcome = run(tool("lintian"), "--allow-root", "--fail-on", "error,warning", compat, within_s=120)
    assert (outcome.returncode, outcome.stdout) == (0, "")
    assert "/bin/iproxy" not in run("dpkg-deb", "--contents", package).stdout


def test_compat_is_installed_beside_usbmux_its_commands_work(debian: Chroot, package: Path) -> None:
    debian.succeed("dpkg", "--install", debian.take(package.with_name(f"usbmux-compat_{__version__}_all.deb")))
    for name in ("iproxy", "inetcat"):
        assert debian.succeed(name, "-v") == f"{name} (usbmux {__version__})\n"


def test_package_made_again_elsewhere_and_under_another_umask_is_the_same(package: Path, tmp_path: Path) -> None:
    again = build_package(tmp_path, umask=0o077, TZ="Asia/Tokyo", LC_ALL="C")

    assert again.read_bytes() == package.read_bytes()


def test_package_has_the_time_of_its_changelog(package: Path) -> None:
    said = run(
        "dpkg-parsechangelog", "--file", PROJECT / "packaging/debian/changelog", "--show-field", "Timestamp"
    ).stdout
    files = run("dpkg-deb", "--contents", package, environment={"TZ": "UTC"}).stdout.splitlines()
    moment = datetime.fromtimestamp(int(said), UTC).strftime("%Y-%m-%d %H:%M")

    assert {" ".join(line.split()[3:5]) for line in files} == {moment}


def test_installed_daemon_serves_its_group_and_nobody_else(debian: Chroot) -> None:
    debian.succeed("useradd", "--groups", "usbmux", "member")
    debian.succeed("useradd", "stranger")
    daemon = start_daemon(debian)
    try:
        listed = debian.run("usbmux", "list", user="member", group="usbmux")
        refused = debian.run("usbmux", "list", user="stranger")
        facts = debian.succeed("stat", "--format=%U %G %a", "/run/usbmuxd", "/run/usbmuxd.admin", "/var/lib/lockdown")
        users = debian.succeed("grep", "^Uid", f"/proc/{daemon.pid}/status").split()[1:]
    finally:
        status = daemon.stop()

    assert (listed.returncode, len(listed.stdout.split()), listed.stderr) == (0, 2, "")
    assert (refused.returncode, refused.stdout) == (4, "")
    assert "Permission denied" in refused.stderr
    assert facts.splitlines()[0].split()[1:] == ["usbmux", "660"]
    assert facts.splitlines()[1].split()[2] == "600"
    assert facts.splitlines()[2] == "usbmux usbmux 700"
    assert set(users) == {debian.succeed("id", "--user", "usbmux").strip()}
    assert status == 0, daemon.output


def test_installed_commands_work_without_what_python_is_told_by_its_user(debian: Chroot) -> None:
    debian.succeed("sh", "-c", "mkdir /tmp/trap && echo 'raise SystemExit(9)' >/tmp/trap/click.py")
    for command in ("usbmuxd", "usbmux", "tcprelay"):
        assert debian.succeed("env", "PYTHONPATH=/tmp/trap", command, "--help").lower().startswith(f"usage: {command}")
    assert "the configuration is right: /etc/usbmux/usbmuxd.toml" in debian.succeed("usbmuxd", "--check-config")


@pytest.mark.parametrize(
    ("program", "word", "offered"), [("usbmux", "insta", "install-service"), ("tcprelay", "--li", "--listen")]
)
def test_installed_completion_offers_commands_and_options(
    debian: Chroot, program: str, word: str, offered: str
) -> None:
    script = (
        f"source /usr/share/bash-completion/completions/{program}; COMP_WORDS=({program} {word}); COMP_CWORD=1; "
        f"_{program}_completion {program}; echo ${{COMPREPLY[@]}}"
    )
    assert debian.succeed("bash", "-c", script) == f"{offered}\n"


def test_installed_service_is_not_installed_again(debian: Chroot) -> None:
    outcome = debian.run("usbmux", "install-service")

    assert outcome.returncode == 1
    assert "if a package brought it, so it did the service" in outcome.stderr


def test_used_and_removed_package_keeps_configuration_and_records_until_it_is_purged(debian: Chroot) -> None:
    assert start_daemon(debian).stop() == 0
    debian.succeed("touch", "/var/lib/lockdown/SystemConfiguration.plist")

    debian.succeed("dpkg", "--remove", "usbmux")
    kept = {path for path in debian.changed() if not LEFT.fullmatch(path)}
    debian.succeed("dpkg", "--purge", "usbmux")

    assert {"/etc/usbmux/usbmuxd.toml", "/var/lib/lockdown/SystemConfiguration.plist"} <= kept
    assert not any(path.startswith("/usr/") for path in kept), kept
    assert {path for path in debian.changed() if not LEFT.fullmatch(path)} == set()
    assert debian.run("test", "-e", "/etc/usbmux").returncode == 1
    assert debian.run("test", "-e", "/var/lib/lockdown").returncode == 1


def test_purged_beside_another_daemon_leaves_the_records(debian: Chroot) -> None:
    debian.succeed("touch", "/var/lib/lockdown/SystemConfiguration.plist")
    debian.succeed("dpkg", "--remove", "usbmux")
    debian.succeed("touch", "/usr/sbin/usbmuxd")

    debian.succeed("dpkg", "--purge", "usbmux")

    debian.succeed("test", "-e", "/var/lib/lockdown/SystemConfiguration.plist")
