"""A Debian with a running systemd, thrown away after the test: .build/chroot in namespaces and a cgroup of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.packaging.chroot import BASE, ENVIRONMENT, OVERLAY, require_chroot
from tests.packaging.tools import missing, run
from tests.support.process import ChildProcess

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

_PATIENCE_S = 60.0
_SPACES = {"mount": "mnt", "pid": "pid_for_children", "ipc": "ipc", "uts": "uts", "net": "net", "cgroup": "cgroup"}
"""What the Debian has of its own: nsenter's name, and the kernel's."""
_ENTER = """\
set -e
echo $$ >"$1/cgroup.procs"
shift
exec unshare --cgroup --mount --pid --fork --ipc --uts --net sh -c "$@"
"""
# The kernel's settings and /sys are not ours alone, so they are read-only. No machine id would mean a first boot.
_BOOT = f"""\
{OVERLAY}
cd "$2/root"
mount --bind -o ro "$3" mnt
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for node in null,3 zero,5 full,7 random,8 urandom,9 console,3; do
    mknod -m 666 "dev/${{node%,*}}" c 1 "${{node#*,}}"
done
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/systemd/system run/before
for unit in timers.target systemd-journald-audit.socket; do ln -s /dev/null "run/systemd/system/$unit"; done
echo 5d9cbf7a8f1e4f6c9d3a2b1c0e8f7a6b >etc/machine-id
pivot_root . run/before
umount -l run/before
rm -rf var/log/journal
exec env --ignore-environment container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=basic.target
"""


def wait_until(is_so: Callable[[], bool], otherwise: str, within_s: float = _PATIENCE_S) -> None:
    """Ask again and again; AssertionError with `otherwise` if it does not come."""
    end = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)


class BootedDebian:
    """Has no network. What the computer knows of phones, it has from simulated ones.

    Args:
        folder: Empty; nothing is left in it.
        brought: A directory that is seen inside as /mnt.
    """

    def __init__(self, folder: Path, brought: Path) -> None:
        self._group = _cgroups() / f"usbmux-test-{os.getpid()}-{folder.name}"
        self._group.mkdir()
        where = ["sh", str(BASE), str(folder), str(brought)]
        self._holder = ChildProcess(["sh", "-c", _ENTER, "sh", str(self._group), _BOOT, *where])

    def __enter__(self) -> Self:
        try:
            wait_until(self._has_booted, "the Debian has not booted")
            # Its unit wants a /sys that can be written to.
            self.succeed("/lib/systemd/systemd-udevd", "--daemon")
        except BaseException as error:
            self._end()
            error.add_note(self._holder.output)
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def run(self, *command: str, user: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end, as root or as a user with the user's groups."""
        who = [] if user is None else ["runuser", f"--user={user}", "--"]
        return run(*self._inside(), "env", "--ignore-environment", *ENVIRONMENT, *who, *command)

    def succeed(self, *command: str, user: str | None = None) -> str:
        """What a program prints that must not fail."""
        outcome = self.run(*command, user=user)
        assert outcome.returncode == 0, f"{command}: {outcome.stdout}{outcome.stderr}"
        return outcome.stdout

    def write(self, path: str, text: str) -> None:
        """Make a file, and the directories above it."""
        self.succeed("sh", "-c", 'mkdir -p "${1%/*}" && printf %s "$2" >"$1"', "sh", path, text)

    def value(self, unit: str, name: str) -> str:
        """What systemd says about a unit."""
        return self.succeed("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def log(self) -> str:
        """What the daemon has written."""
        return self.succeed("journalctl", "--no-pager", "--output=cat", "--unit=usbmuxd.service")

    def listing(self) -> set[str]:
        """A line for everything on the disk: path, kind, mode, owner, and size and time or where a link leads to."""
        of_file = ["-type", "f", "-printf", "%p %y %m %U:%G %s %T@\\n"]
        return set(self.succeed("find", "/", "-xdev", *of_file, "-o", "-printf", "%p %y %m %U:%G %l\\n").splitlines())

    def _inside(self) -> list[str]:
        spaces = f"/proc/{self._holder.pid}/ns"
        return ["nsenter", *(f"--{name}={spaces}/{space}" for name, space in _SPACES.items())]

    def _has_booted(self) -> bool:
        return self.run("systemctl", "is-system-running", "--wait").stdout.strip() in ("running", "degraded")

    def _end(self) -> None:
        (self._group / "cgroup.kill").write_text("1")
        self._holder.stop()
        wait_until(lambda: "populated 0" in (self._group / "cgroup.events").read_text(), "processes are left")
        for folder, _folders, _files in os.walk(self._group, topdown=False):
            Path(folder).rmdir()


def require_systemd() -> None:
    """Skips the test where no systemd can be run, and says what is missing."""
    require_chroot()
    if not (BASE / "lib/systemd/systemd").exists():
        missing("there is no systemd in .build/chroot", "scripts/provision-chroot, as root")
    _cgroups()


def _cgroups() -> Path:
    """Where the kernel's second kind of control groups is mounted."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _device, path, kind, options, *_rest = line.split()
        if kind == "cgroup2" and "rw" in options.split(",") and (Path(path) / "cgroup.procs").exists():
            return Path(path)
    missing("there are no control groups (version 2) to be written to", "a newer kernel, or fewer containers around us")
