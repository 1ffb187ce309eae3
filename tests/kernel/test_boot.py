"""The rig itself: the guest, its controllers and udev, and our daemon where no phone is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.guest import Guest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kernel.figures import Figures

pytestmark = [pytest.mark.kernel, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def guest(
    processors: int, initramfs: Path, tmp_path_factory: pytest.TempPathFactory, figures: Figures
) -> Iterator[Guest]:
    with Guest(initramfs, tmp_path_factory.mktemp("guest"), processors=processors) as guest:
        figures.lines.append(f"booted with {processors} CPU in {guest.booted_in_s:.1f} s")
        yield guest


def test_guest_booted_has_its_processors_and_both_controllers(guest: Guest, processors: int) -> None:
    assert guest.run("nproc").output == f"{processors}\n"
    products = guest.run("cat /sys/bus/usb/devices/usb*/product").output.splitlines()
    assert sorted(products) == ["EHCI Host Controller", "xHCI Host Controller", "xHCI Host Controller"]
    assert guest.run("cat /sys/bus/usb/devices/usb*/speed").output.split() == ["480", "480", "5000"]


@pytest.mark.parametrize("controller", ["ehci", "xhci"])
def test_guest_plug_and_unplug_reach_kernel_and_udev(guest: Guest, controller: str) -> None:
    with guest.start("udevadm", "monitor", "--udev", "--subsystem-match=usb/usb_device") as events:
        events.wait_for_line("UDEV - the event")
        guest.monitor.plug("tablet", "usb-tablet", controller)
        events.wait_for_line(r"UDEV .* add +\S+/usb\d/\d-\d ")
        guest.monitor.unplug("tablet")
        events.wait_for_line(r"UDEV .* remove +\S+/usb\d/\d-\d ")
        events.stop()


def test_guest_program_fails_status_and_output_come_back(guest: Guest) -> None:
    ended = guest.run("echo out; echo err >&2; exit 3", check=False)

    assert (ended.status, ended.output) == (3, "out\nerr\n")
    assert guest.run("no-such-program", "x", check=False).status == 127


def test_daemon_without_phone_serves_and_ends_cleanly(guest: Guest) -> None:
    with guest.start("python3", "-m", "usbmux.commands.usbmuxd", "-f", "-v") as daemon:
        daemon.wait_for_line("usbmuxd ready")
        listed = guest.run("python3", "-m", "usbmux", "list")
        assert daemon.stop() == 0

    assert listed.output == "usbmux: no phone is attached\n"
    assert "Traceback" not in daemon.output
