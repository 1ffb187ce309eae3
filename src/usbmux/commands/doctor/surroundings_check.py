"""Systems that have no USB bus of their own: containers, and Linux inside Windows."""

from collections.abc import Iterator
from typing import Final

from usbmux.commands.doctor.examination import Examination
from usbmux.commands.doctor.finding import Finding, Severity

_CHECK: Final = "system"
_NODES: Final = "/dev/bus/usb"
_UDEV: Final = "/run/udev/control"


def check_surroundings(examination: Examination) -> Iterator[Finding]:
    """Whether phones can come as far as this system. That is no matter while a daemon somewhere else serves it."""
    view = examination.view
    if not examination.is_linux:
        yield Finding(_CHECK, Severity.NOTE, "the USB bus, udev and other daemons are looked at on Linux only")
        return
    severity = Severity.NOTE if examination.is_served else Severity.WARNING
    if examination.is_wsl and not examination.bus.phones:
        yield Finding(
            _CHECK,
            severity,
            "this is WSL: Windows keeps its USB devices until they are handed over",
            "in Windows, with usbipd-win: usbipd list; usbipd bind --busid N; usbipd attach --wsl --busid N",
        )
    elif examination.is_container:
        yield from _container(examination, severity)
    elif not view.is_there("/sys/bus/usb"):
        yield Finding(_CHECK, severity, "this system has no USB bus", fix="run the daemon where the phones are")
    else:
        yield Finding(_CHECK, Severity.OK, "this system has a USB bus of its own")


def _container(examination: Examination, severity: Severity) -> Iterator[Finding]:
    view = examination.view
    if not view.is_there(_NODES):
        yield Finding(
            _CHECK,
            severity,
            f"this is a container without {_NODES}, so a daemon in it finds no phone",
            f"docker run -v {_NODES}:{_NODES} --device-cgroup-rule='c 189:* rmw' ..., or the host's daemon: "
            "-v /run/usbmuxd:/run/usbmuxd",
        )
    elif not view.is_there(_UDEV):
        text = "this is a container that udev does not reach: a phone that comes later is not noticed"
        yield Finding(_CHECK, severity, text, fix="docker run -v /run/udev:/run/udev:ro --network=host ...")
    else:
        yield Finding(_CHECK, Severity.OK, f"this is a container with {_NODES} and udev")
