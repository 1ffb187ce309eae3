"""Our daemon as a user who may do nothing but what our udev rule allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.guest import Guest
from tests.kernel.machine import PROJECT
from tests.kernel.phones import Phones

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kernel.channel import GuestProgram

pytestmark = [pytest.mark.kernel, pytest.mark.slow, pytest.mark.timeout(300)]

RULE = PROJECT / "src/usbmux/commands/service_files/udev/60-usbmux.rules"
DAEMON = "python3 -m usbmux.commands.usbmuxd -f -v -S /tmp/usbmuxd -C /tmp/records"


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    with Phones(tmp_path_factory.mktemp("phones"), ["ehci", "xhci"]) as phones:
        yield phones


@pytest.fixture(scope="module")
def guest(phones: Phones, initramfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    cables = [phone.cable for phone in phones]
    with Guest(initramfs, tmp_path_factory.mktemp("guest"), cables=cables) as guest:
        yield guest


def start_unprivileged(guest: Guest) -> GuestProgram:
    return guest.start("su", "usbmux", "-s", "/bin/sh", "-c", f"exec {DAEMON}")


def test_user_without_rule_is_told_what_is_missing(guest: Guest, phones: Phones) -> None:
    with start_unprivileged(guest) as daemon:
        daemon.wait_for_lines(["usbmuxd ready", "no permission: a udev rule"])
        assert daemon.stop() == 0


def test_user_with_rule_has_the_phones_and_their_bytes(guest: Guest, phones: Phones) -> None:
    guest.run("mkdir -p /run/udev/rules.d")
    guest.put("/run/udev/rules.d/60-usbmux.rules", RULE.read_bytes())
    guest.run("udevadm control --reload && udevadm trigger --action=add --subsystem-match=usb && udevadm settle")

    with start_unprivileged(guest) as daemon:
        daemon.wait_for_lines([f"{phone.udid}: attached" for phone in phones])
        for phone in phones:
            phone.unplug()
            phone.plug()
            daemon.wait_for_line(f"{phone.udid}: attached")
            guest.run(f"USBMUXD_SOCKET_ADDRESS=/tmp/usbmuxd python3 /project/transfers.py {phone.udid} 512 16384 49152")
        assert daemon.stop() == 0
