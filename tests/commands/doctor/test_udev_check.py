from __future__ import annotations

from importlib.resources import files

import pytest

from tests.commands.doctor.made_up import MadeUpSystem, said
from usbmux.commands.doctor.udev_check import check_udev

OURS = files("usbmux.commands").joinpath("service_files", "udev", "60-usbmux.rules").read_text()
OTHERS = 'ATTR{idVendor}=="05ac", ENV{USBMUX_SUPPORTED}="1", ATTR{bConfigurationValue}="0", OWNER="usbmux"\n'
OUR_PATH, OTHER_PATH = "/etc/udev/rules.d/60-usbmux.rules", "/lib/udev/rules.d/39-usbmuxd.rules"


def test_our_rule_alone_is_well(system: MadeUpSystem) -> None:
    system.file(OUR_PATH, OURS)
    assert said(check_udev, system.examination()) == [("ok", f"iPhones have a rule: {OUR_PATH}", "")]


def test_no_rule_says_what_brings_one(system: MadeUpSystem) -> None:
    system.file("/lib/udev/rules.d/50-keyboards.rules", 'ATTR{idVendor}=="05ac", ATTR{idProduct}=="0250"\n')
    system.file("/lib/udev/rules.d/60-usbmux.rules.old", OURS)
    ((severity, text, fix),) = said(check_udev, system.examination())
    assert (severity, fix) == ("warning", "sudo usbmux install-service")
    assert text.startswith("no udev rule is about iPhones")


def test_second_rule_that_configures_phones_says_how_to_hide_it(system: MadeUpSystem) -> None:
    system.file(OUR_PATH, OURS)
    system.file(OTHER_PATH, OTHERS)
    ((severity, text, fix),) = said(check_udev, system.examination())
    assert severity == "warning"
    assert text.startswith(f"{OUR_PATH}, {OTHER_PATH} are about iPhones, and {OTHER_PATH} configures them")
    assert fix.endswith("sudo ln -s /dev/null /etc/udev/rules.d/39-usbmuxd.rules")


@pytest.mark.parametrize(
    "rule",
    [
        OTHERS.replace('bConfigurationValue}="0"', 'bConfigurationValue}=="0"'),
        f"# {OTHERS}# of usbmux",
    ],
    ids=["asks", "comment"],
)
def test_second_rule_that_does_not_configure_them_is_well(system: MadeUpSystem, rule: str) -> None:
    system.file(OUR_PATH, OURS)
    system.file(OTHER_PATH, rule)
    assert [severity for severity, *_ in said(check_udev, system.examination())] == ["ok"]


def test_rule_of_the_same_name_in_etc_hides_the_other(system: MadeUpSystem) -> None:
    system.file(OUR_PATH, OURS)
    system.file(OTHER_PATH, OTHERS)
    system.file("/etc/udev/rules.d/39-usbmuxd.rules")
    assert said(check_udev, system.examination()) == [("ok", f"iPhones have a rule: {OUR_PATH}", "")]


def test_rule_for_a_user_that_is_missing_is_a_problem(system: MadeUpSystem) -> None:
    system.file(OUR_PATH, OURS)
    system.file("/etc/passwd", "root:x:0:0::/:/bin/sh\n\nodd line\n")
    ((severity, text, fix),) = said(check_udev, system.examination())
    assert severity == "problem"
    assert text == f"{OUR_PATH} gives phones to the user usbmux, whom the system does not have"
    assert fix == "sudo systemd-sysusers; sudo udevadm trigger"


@pytest.mark.parametrize("where", ["container", "another system", "no bus"])
def test_system_without_udev_of_its_own_is_not_looked_at(system: MadeUpSystem, where: str) -> None:
    match where:
        case "container":
            system.environ["container"] = "podman"
        case "another system":
            system.platform = "darwin"
        case _:
            (system.root / "sys/bus/usb/devices").rmdir()
            (system.root / "sys/bus/usb").rmdir()
    assert said(check_udev, system.examination()) == []
