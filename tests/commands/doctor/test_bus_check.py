from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.commands.doctor.made_up import NOBODY, SERIAL, UDID, MadeUpSystem, said, served
from usbmux.admin.message import PhoneState, PhoneStatus
from usbmux.client.device import Device
from usbmux.commands.doctor.bus_check import check_bus
from usbmux.commands.doctor.usb_bus import read_bus

if TYPE_CHECKING:
    from usbmux.commands.doctor.server import Server

PHONE = f"the phone at 1-2 ({SERIAL})"
LISTED = served(Device(1, UDID, port_path="1-2"))
UNLISTED = served()
REPLUG = "unlock the phone and plug it in again; if that does not help, restart the daemon"


def test_phone_that_the_daemon_lists_is_well(system: MadeUpSystem) -> None:
    system.phone(driver="usbfs")
    assert said(check_bus, system.examination(LISTED)) == [("ok", f"{PHONE} is configured, and the daemon has it", "")]


def test_empty_bus_says_what_cannot_be_seen(system: MadeUpSystem) -> None:
    ((severity, text, fix),) = said(check_bus, system.examination(UNLISTED))
    assert severity == "note"
    assert text.endswith("one that is off, or whose cable only charges, cannot be told from none")
    assert fix == "if one is plugged in: try another cable, then another port"


def test_empty_bus_but_a_daemon_with_phones_is_no_matter(system: MadeUpSystem) -> None:
    assert said(check_bus, system.examination(LISTED)) == []


def test_another_system_is_not_looked_at(system: MadeUpSystem) -> None:
    system.platform = "darwin"
    assert said(check_bus, system.examination(UNLISTED)) == []


@pytest.mark.parametrize("state", ["attached", "powered", "default", "addressed"])
def test_port_with_something_that_does_not_become_a_device_blames_the_cable(system: MadeUpSystem, state: str) -> None:
    system.file("/sys/bus/usb/devices/1-0:1.0/usb1-port2/state", f"{state}\n")
    system.file("/sys/bus/usb/devices/1-0:1.0/usb1-port3/state", "configured\n")
    system.file("/sys/bus/usb/devices/1-0:1.0/usb1-port4/state", "not attached\n")
    findings = said(check_bus, system.examination(LISTED))
    assert findings == [
        (
            "warning",
            "something at usb1-port2 does not become a USB device: its cable, or the port, is likely at fault",
            "try another cable, then another port",
        )
    ]


def test_phone_that_is_not_authorized_says_how_to_let_it_in(system: MadeUpSystem) -> None:
    system.phone(authorized="0", configuration="")
    assert said(check_bus, system.examination(UNLISTED)) == [
        (
            "problem",
            f"{PHONE} is not let in by this computer (USBGuard, for one)",
            "echo 1 | sudo tee /sys/bus/usb/devices/1-2/authorized",
        )
    ]


def test_phone_without_a_node_asks_udev_for_one_or_the_container_for_the_directory(system: MadeUpSystem) -> None:
    system.phone()
    (system.root / "dev/bus/usb/001/007").unlink()
    ((severity, text, fix),) = said(check_bus, system.examination(UNLISTED))
    assert (severity, text) == ("problem", f"{PHONE} has no node /dev/bus/usb/001/007")
    assert fix == "sudo udevadm trigger --action=add --subsystem-match=usb"
    system.file("/run/.containerenv")
    ((_severity, text, fix),) = said(check_bus, system.examination(UNLISTED))
    assert text.endswith("in this container")
    assert fix.startswith("docker run -v /dev/bus/usb:/dev/bus/usb")


def test_node_that_the_daemon_may_not_open_names_its_user(system: MadeUpSystem) -> None:
    system.phone()
    system.process(7, "/usr/sbin/usbmuxd", "--systemd")
    (system.root / "dev/bus/usb/001/007").chmod(0o664)
    ((severity, text, fix),) = said(check_bus, system.examination(UNLISTED))
    assert severity == "problem"
    assert text == f"{PHONE} has a node that the daemon's user usbmux may not open: /dev/bus/usb/001/007"
    assert fix.startswith("sudo usbmux install-service")


@pytest.mark.parametrize("uid", [46, 0])
def test_node_that_the_daemon_may_open_is_not_mentioned(system: MadeUpSystem, uid: int) -> None:
    system.phone()
    system.process(7, "/usr/sbin/usbmuxd", uid=uid)
    (system.root / "dev/bus/usb/001/007").chmod(0o666 if uid else 0o600)
    assert [severity for severity, *_ in said(check_bus, system.examination(LISTED))] == ["ok"]


def test_interface_with_another_driver_says_how_to_take_it_away(system: MadeUpSystem) -> None:
    system.phone(driver="usb-storage")
    assert said(check_bus, system.examination(UNLISTED)) == [
        (
            "problem",
            f"{PHONE} has its mux interface claimed by the driver usb-storage",
            "echo 1-2:5.1 | sudo tee /sys/bus/usb/drivers/usb-storage/unbind",
        )
    ]


def test_phone_held_by_another_program_names_it(system: MadeUpSystem) -> None:
    system.phone(driver="usbfs")
    system.process(7, "/usr/sbin/usbmuxd", opened="/dev/bus/usb/001/007")
    system.process(8, "/usr/bin/qemu-system-x86_64", "-usb\x1b[2J", opened="/dev/bus/usb/001/007")
    assert said(check_bus, system.examination(UNLISTED)) == [
        (
            "problem",
            f"{PHONE} is held by another program: pid 8 (/usr/bin/qemu-system-x86_64 -usb?[2J)",
            "sudo kill 8",
        )
    ]


def test_phone_that_nobody_has_configured_says_so(system: MadeUpSystem) -> None:
    system.phone(configuration="")
    ((severity, text, fix),) = said(check_bus, system.examination(UNLISTED))
    assert (severity, text, fix) == ("problem", f"{PHONE} is not configured, which is for the daemon to do", REPLUG)


def test_phone_in_a_configuration_without_mux_says_which(system: MadeUpSystem) -> None:
    system.phone(configuration="1")
    ((severity, text, fix),) = said(check_bus, system.examination(UNLISTED))
    assert (severity, fix) == ("problem", REPLUG)
    assert text.startswith(f"{PHONE} is in configuration 1, which has no mux interface")


def test_phone_but_no_daemon_says_how_to_start_one(system: MadeUpSystem) -> None:
    system.phone()
    ((severity, text, fix),) = said(check_bus, system.examination(NOBODY))
    assert (severity, text) == ("problem", f"{PHONE} is there, but no daemon")
    assert fix == "sudo usbmux install-service, or in a terminal: sudo usbmuxd -f"


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (UNLISTED, "is not listed by the daemon"),
        (served(phones=(PhoneStatus(PhoneState.OPENING, "1-2"),)), "is opening in the daemon: no error is known"),
        (
            served(phones=(PhoneStatus(PhoneState.QUARANTINED, "1-2", last_error="no \x1banswer"),)),
            "is quarantined in the daemon: no ?answer",
        ),
    ],
)
def test_phone_that_the_daemon_does_not_list_says_what_the_daemon_says(
    system: MadeUpSystem, server: Server, words: str
) -> None:
    system.phone()
    ((severity, text, _fix),) = said(check_bus, system.examination(server))
    assert (severity, text) == ("problem", f"{PHONE} {words}")


def test_other_devices_are_no_phones(system: MadeUpSystem) -> None:
    system.phone("1-3")
    system.file("/sys/bus/usb/devices/1-3/idVendor", "046d\n")
    system.phone("1-4", configuration="1")
    system.file("/sys/bus/usb/devices/1-4/idProduct", "0250\n")  # a keyboard of Apple's
    system.phone("1-5", configuration="1")
    system.file("/sys/bus/usb/devices/1-5/idProduct", "no number")
    assert read_bus(system.view).phones == ()


def test_phone_of_an_unknown_kind_is_known_by_its_interface(system: MadeUpSystem) -> None:
    system.phone("2-1.4.3")
    system.file("/sys/bus/usb/devices/2-1.4.3/idProduct", "1901\n")
    (phone,) = read_bus(system.view).phones
    assert (phone.port_path, phone.node, phone.configuration) == ("2-1.4.3", "/dev/bus/usb/001/007", 5)
    assert (phone.mux_interface, phone.driver) == ("2-1.4.3:5.1", None)
