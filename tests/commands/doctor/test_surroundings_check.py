from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.commands.doctor.made_up import NO_TROUBLE, NOBODY, MadeUpSystem, said
from usbmux.commands.doctor.surroundings_check import check_surroundings

if TYPE_CHECKING:
    from usbmux.commands.doctor.server import Server

BAD = pytest.mark.parametrize(("server", "severity"), [(NOBODY, "warning"), (NO_TROUBLE, "note")], ids=["none", "some"])
"""What keeps phones away is no matter while a daemon of somewhere else serves."""
WSL = ("/proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2\n")


def test_computer_with_a_bus_is_well(system: MadeUpSystem) -> None:
    assert said(check_surroundings, system.examination()) == [("ok", "this system has a USB bus of its own", "")]


@BAD
def test_computer_without_a_bus_says_where_the_daemon_belongs(
    system: MadeUpSystem, server: Server, severity: str
) -> None:
    (system.root / "sys/bus/usb/devices").rmdir()
    (system.root / "sys/bus/usb").rmdir()
    assert said(check_surroundings, system.examination(server)) == [
        (severity, "this system has no USB bus", "run the daemon where the phones are")
    ]


@BAD
def test_wsl_without_phones_points_to_usbipd(system: MadeUpSystem, server: Server, severity: str) -> None:
    system.file(*WSL)
    ((found, text, fix),) = said(check_surroundings, system.examination(server))
    assert (found, text) == (severity, "this is WSL: Windows keeps its USB devices until they are handed over")
    assert "usbipd attach --wsl" in fix


def test_wsl_with_a_phone_is_well(system: MadeUpSystem) -> None:
    system.file(*WSL)
    system.phone()
    assert [severity for severity, *_ in said(check_surroundings, system.examination())] == ["ok"]


@BAD
@pytest.mark.parametrize("mark", ["/.dockerenv", "/run/.containerenv", "/run/systemd/container", "variable"])
def test_container_without_nodes_says_how_it_gets_them(
    system: MadeUpSystem, server: Server, severity: str, mark: str
) -> None:
    if mark == "variable":
        system.environ["container"] = "lxc"
    else:
        system.file(mark)
    ((found, text, fix),) = said(check_surroundings, system.examination(server))
    assert (found, text) == (severity, "this is a container without /dev/bus/usb, so a daemon in it finds no phone")
    assert "-v /dev/bus/usb:/dev/bus/usb" in fix
    assert "-v /run/usbmuxd:/run/usbmuxd" in fix


def test_container_without_udev_says_that_plugs_go_unnoticed(system: MadeUpSystem) -> None:
    system.file("/.dockerenv")
    system.folder("/dev/bus/usb")
    ((severity, text, fix),) = said(check_surroundings, system.examination(NOBODY))
    assert (severity, text) == (
        "warning",
        "this is a container that udev does not reach: a phone that comes later is not noticed",
    )
    assert "-v /run/udev:/run/udev:ro" in fix


def test_container_with_both_is_well(system: MadeUpSystem) -> None:
    system.file("/.dockerenv")
    system.folder("/dev/bus/usb")
    system.file("/run/udev/control")
    assert said(check_surroundings, system.examination(NOBODY)) == [
        ("ok", "this is a container with /dev/bus/usb and udev", "")
    ]


def test_another_system_says_what_is_not_looked_at(system: MadeUpSystem) -> None:
    system.platform = "darwin"
    ((severity, text, _fix),) = said(check_surroundings, system.examination())
    assert (severity, text) == ("note", "the USB bus, udev and other daemons are looked at on Linux only")
