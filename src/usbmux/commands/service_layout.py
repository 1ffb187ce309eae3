"""Which files make ``usbmuxd`` a service of a platform, where they go, and what is run then."""

from importlib.resources import files
from typing import Final

from usbmux.errors import UsbmuxError
from usbmux.values import frozen

_PACKAGED_PROGRAM: Final = b"/usr/sbin/usbmuxd"
"""The daemon's path in the files as they are shipped."""
_LABEL: Final = "org.usbmux.usbmuxd"
_SOCKETS: Final = ("usbmuxd.socket", "usbmuxd-admin.socket")


@frozen
class Step:
    """A program to run."""

    command: tuple[str, ...]
    may_fail: bool = False


@frozen
class ServiceLayout:
    """A platform's service."""

    manager: str
    running_if: str
    """A directory that is there while the manager runs."""
    files: tuple[tuple[str, str], ...]
    """Name among the shipped files, and directory of the platform."""
    hidden: tuple[str, ...]
    """Directories in which the service finds nothing."""
    after_installing: tuple[Step, ...]
    before_removing: tuple[Step, ...]
    after_removing: tuple[Step, ...]
    left: str
    """What stays when the service is removed."""


SYSTEMD: Final = ServiceLayout(
    manager="systemd",
    running_if="/run/systemd/system",
    files=(
        ("sysusers.d/usbmux.conf", "/etc/sysusers.d"),
        ("tmpfiles.d/usbmux.conf", "/etc/tmpfiles.d"),
        ("udev/60-usbmux.rules", "/etc/udev/rules.d"),
        ("systemd/usbmuxd.socket", "/etc/systemd/system"),
        ("systemd/usbmuxd-admin.socket", "/etc/systemd/system"),
        ("systemd/usbmuxd.service", "/etc/systemd/system"),
    ),
    hidden=("/home", "/root", "/run/user", "/tmp", "/var/tmp"),
    after_installing=(
        Step(("systemd-sysusers", "usbmux.conf")),
        Step(("systemd-tmpfiles", "--create", "usbmux.conf")),
        Step(("systemctl", "daemon-reload")),
        Step(("systemctl", "enable", "--now", *_SOCKETS)),
        Step(("systemctl", "try-restart", "usbmuxd.service")),
        Step(("udevadm", "control", "--reload")),
        Step(("udevadm", "trigger", "--action=add", "--subsystem-match=usb", "--attr-match=idVendor=05ac")),
    ),
    before_removing=(
        Step(("systemctl", "disable", "--now", *_SOCKETS)),
        Step(("systemctl", "stop", "usbmuxd.service")),
    ),
    after_removing=(Step(("systemctl", "daemon-reload")), Step(("udevadm", "control", "--reload"))),
    left="the user and the group usbmux, and the pair records in /var/lib/lockdown",
)
LAUNCHD: Final = ServiceLayout(
    manager="launchd",
    running_if="/Library/LaunchDaemons",
    files=((f"launchd/{_LABEL}.plist", "/Library/LaunchDaemons"),),
    hidden=(),
    after_installing=(
        Step(("launchctl", "bootout", f"system/{_LABEL}"), may_fail=True),  # one that runs takes no new file
        Step(("launchctl", "bootstrap", "system", f"/Library/LaunchDaemons/{_LABEL}.plist")),
    ),
    before_removing=(Step(("launchctl", "bootout", f"system/{_LABEL}"), may_fail=True),),
    after_removing=(),
    left="the pair records in /var/db/usbmux and the log /var/log/usbmuxd.log",
)


def layout_of(platform: str) -> ServiceLayout:
    """The layout for a `sys.platform`.

    Raises:
        UsbmuxError: There is none.
    """
    match platform:
        case "linux":
            return SYSTEMD
        case "darwin":
            return LAUNCHD
        case _:
            raise UsbmuxError(f"no service can be installed on {platform}")


def shipped_file(name: str, program: str) -> bytes:
    """A file of a layout, for a daemon at that path."""
    data = files("usbmux.commands").joinpath("service_files", name).read_bytes()
    return data.replace(_PACKAGED_PROGRAM, program.encode())
