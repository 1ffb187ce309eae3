"""A machine that sleeps with phones plugged in, and phones that sleep while nobody uses them.

The machine goes the whole way of a suspend to memory, except that the last step is a wait of two seconds (`pm_test`).
The xHCI controller loses its power meanwhile, as many do, and the phone there all that it knew; EHCI keeps it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.kernel.bench import ATTACHED_WITHIN_S, DEBIANS, IS_FULL, OURS, Bench, Subject
from tests.kernel.figures import Figures, spread
from tests.kernel.guest import Guest
from tests.kernel.phones import Phones

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RESET_ON_RESUME = "xhci_hcd.quirks=0x80"
PREPARE = "echo core >/sys/power/pm_test && echo 2 >/sys/module/suspend/parameters/pm_test_delay"
SUSPEND = "echo mem >/sys/power/state"
# Lets all phones sleep when idle, and waits until they do.
LULL = """
asleep=0
while [ $asleep -lt 2 ]; do
    asleep=0
    for vendor in $(grep -l 05ac /sys/bus/usb/devices/*/idVendor); do
        power=${vendor%/idVendor}/power
        echo 0 >$power/autosuspend_delay_ms
        echo auto >$power/control
        grep -q suspended $power/runtime_status && asleep=$((asleep + 1))
    done
    sleep 0.1
done
"""
LENGTHS = ("512", "16384", "49152", "65535")

pytestmark = [pytest.mark.kernel, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def guest(initramfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Guest, Phones]]:
    folder = tmp_path_factory.mktemp("guest")
    with ExitStack() as ending:
        phones = ending.enter_context(Phones(folder, ["ehci", "xhci"]))
        cables = [phone.cable for phone in phones]
        guest = ending.enter_context(Guest(initramfs, folder, cables=cables, kernel_options=RESET_ON_RESUME))
        guest.run(PREPARE)
        yield guest, phones


@pytest.fixture(params=[OURS, DEBIANS] if IS_FULL else [OURS], ids=lambda subject: subject.name)
def bench(request: pytest.FixtureRequest, guest: tuple[Guest, Phones], figures: Figures) -> Iterator[Bench]:
    subject: Subject = request.param
    with Bench(guest[0], list(guest[1]), subject, figures) as bench:
        yield bench


def assert_carry_bytes(guest: Guest, phones: Phones) -> None:
    for phone in phones:
        guest.run("python3", "/project/transfers.py", phone.udid, *LENGTHS, within_s=120.0)


def test_phones_asleep_daemon_started_wakes_them(guest: tuple[Guest, Phones]) -> None:
    machine, phones = guest
    for phone in phones:
        phone.unplug()  # whatever driver has it keeps it awake
        phone.plug()
    machine.run(LULL)

    with machine.start(*OURS.arguments) as daemon:
        daemon.wait_for_lines([f"{phone.udid}: attached" for phone in phones])
        assert_carry_bytes(machine, phones)
        assert daemon.stop() == 0


def test_machine_suspended_amid_transfer_has_all_phones_again(bench: Bench, guest: tuple[Guest, Phones]) -> None:
    with bench.judge("suspended amid transfer") as results:
        with bench.traffic() as traffic:
            traffic.wait_for_lines(bench.movements)
            bench.guest.run(SUSPEND)
            news = ["suspend exit", *bench.detachments, *bench.attachments]
            woken_s, *happened_s = bench.comings.wait(news, ATTACHED_WITHIN_S)
            detached_s, attached_s = happened_s[:2], happened_s[2:]
            results.append(f"attached {spread([at_s - woken_s for at_s in attached_s])} after waking")
            for phone in bench.phones:
                phone.take_violations()  # one that lost its power is met by what was on its way to it
            assert all(gone_s <= back_s for gone_s, back_s in zip(detached_s, attached_s, strict=True))
        assert_carry_bytes(*guest)


def test_phones_unplugged_while_machine_sleeps_are_gone_afterwards(bench: Bench) -> None:
    with bench.judge("unplugged during a suspend") as results:
        suspend = bench.guest.start(SUSPEND)
        for phone in bench.phones:
            phone.wait_left_alone()
            phone.unplug()
        suspend.wait()
        woken_s, *detached_s = bench.comings.wait(["suspend exit", *bench.detachments], ATTACHED_WITHIN_S)
        results.append(f"detached {spread([at_s - woken_s for at_s in detached_s])} after waking")
        assert "no phone" in bench.guest.run("python3", "-m", "usbmux", "list").output
        bench.plug()


@pytest.mark.skipif(not IS_FULL, reason="in the full run only")
def test_phones_replugged_while_machine_sleeps_are_there_afterwards(bench: Bench, guest: tuple[Guest, Phones]) -> None:
    with bench.judge("replugged during a suspend") as results:
        suspend = bench.guest.start(SUSPEND)
        for phone in bench.phones:
            phone.wait_left_alone()
            phone.unplug()
            phone.plug()
        suspend.wait()
        news = ["suspend exit", *bench.detachments, *bench.attachments]
        woken_s, *happened_s = bench.comings.wait(news, ATTACHED_WITHIN_S)
        results.append(f"attached {spread([at_s - woken_s for at_s in happened_s[2:]])} after waking")
        assert_carry_bytes(*guest)
