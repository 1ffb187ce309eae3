"""Two phones at two host controllers of a real kernel, and a daemon that must see, use, lose and find them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.kernel.bench import ATTACHED_WITHIN_S, DEBIANS, IS_FULL, OURS, STARTED_WITHIN_S, Bench, Subject
from tests.kernel.figures import Figures, spread
from tests.kernel.guest import Guest
from tests.kernel.phones import Phones

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# For continuous integration there are fewer rounds, and the other daemon has one guest only.
BENCHES = [(1, OURS), (2, OURS), (2, DEBIANS)] + ([(1, DEBIANS)] if IS_FULL else [])
REPLUGS = 100 if IS_FULL else 10
KILLS = 20 if IS_FULL else 2
UNPLUGS_AMID_TRANSFER = 20 if IS_FULL else 2
# What is promised, and how much longer it may take where the guest's processors are emulated. It depends on what else
# the machine does, so it decides in the full run only; the others print it.
DETACHED_AFTER_S, ATTACHED_AFTER_S, PATIENCE = 0.5, 2.0, 4
MAX_PACKET_SIZES = (512, 1024)
LENGTHS = sorted(
    {size + more for size in (*MAX_PACKET_SIZES, 16384, 32768, 49152) for more in (-1, 0, 1)} | {65534, 65535}
)

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.parametrize(
        ("processors", "subject"),
        BENCHES,
        ids=[f"{processors}-{subject.name}" for processors, subject in BENCHES],
        indirect=["processors"],
        scope="module",
    ),
]


@pytest.fixture(scope="module")
def guest(
    processors: int, initramfs: Path, tmp_path_factory: pytest.TempPathFactory, figures: Figures
) -> Iterator[tuple[Guest, Phones]]:
    folder = tmp_path_factory.mktemp("guest")
    with ExitStack() as ending:
        phones = ending.enter_context(Phones(folder, ["ehci", "xhci"]))
        cables = [phone.cable for phone in phones]
        guest = ending.enter_context(Guest(initramfs, folder, processors=processors, cables=cables))
        figures.lines.append(f"booted with {processors} CPU and 2 phones in {guest.booted_in_s:.1f} s")
        # Debian's rule, which takes the configuration from every phone as it comes. Who ends the daemon is not tested.
        guest.run(
            "mkdir -p /run/udev/rules.d"
            " && grep -v 'usbmuxd -x' /usr/lib/usbmuxd/39-usbmuxd.rules > /run/udev/rules.d/39-usbmuxd.rules"
            " && udevadm control --reload"
        )
        yield guest, phones


@pytest.fixture(scope="module")
def bench(subject: Subject, guest: tuple[Guest, Phones], figures: Figures) -> Iterator[Bench]:
    with Bench(guest[0], list(guest[1]), subject, figures) as bench:
        yield bench


def test_phones_plugged_are_attached_at_their_speeds(bench: Bench) -> None:
    listed = bench.guest.run("python3", "-m", "usbmux", "list", "-l").output

    for phone, speed in zip(bench.phones, ("480 Mbit/s", "5000 Mbit/s"), strict=True):
        assert any(phone.udid in line and speed in line for line in listed.splitlines()), listed


@pytest.mark.parametrize("index", [0, 1], ids=["high_speed", "super_speed"])
def test_phone_packets_of_every_length_arrive_whole(bench: Bench, index: int, processors: int) -> None:
    phone = bench.phones[index]
    with bench.judge(f"{len(LENGTHS)} lengths, 3 ways, {phone.controller}, {processors} CPU") as results:
        ended = bench.guest.run(
            "python3", "/project/transfers.py", phone.udid, *map(str, LENGTHS), within_s=200.0, check=False
        )
        assert ended.status == 0, ended.output
        assert f"checked {len(LENGTHS)} lengths" in ended.output
        results.append(ended.output.splitlines()[-1].partition(" in ")[2])
        assert phone.take_violations() == []


def test_phones_replugged_are_detached_and_attached_each_time(bench: Bench, processors: int) -> None:
    detached_s: list[float] = []
    attached_s: list[float] = []
    with bench.judge(f"{REPLUGS} replugs of both, {processors} CPU") as results:
        for _ in range(REPLUGS):
            detached_s += bench.unplug()
            attached_s += bench.plug()
        results += [f"detached {spread(detached_s)}", f"attached {spread(attached_s)}"]
        if IS_FULL:
            assert max(detached_s) < DETACHED_AFTER_S * PATIENCE
            assert max(attached_s) < ATTACHED_AFTER_S * PATIENCE


def test_phones_unplugged_amid_transfer_come_back(bench: Bench, processors: int) -> None:
    detached_s: list[float] = []
    attached_s: list[float] = []
    with (
        bench.judge(f"{UNPLUGS_AMID_TRANSFER} unplugs of both amid transfer, {processors} CPU") as results,
        bench.traffic() as traffic,
    ):
        for _ in range(UNPLUGS_AMID_TRANSFER):
            traffic.wait_for_lines(bench.movements)
            detached_s += bench.unplug()
            attached_s += bench.plug()
        results += [f"detached {spread(detached_s)}", f"attached {spread(attached_s)}"]


def test_daemon_killed_amid_transfer_finds_phones_again(bench: Bench, processors: int) -> None:
    took_s: list[float] = []
    with bench.judge(f"{KILLS} times kill -9 amid transfer, {processors} CPU") as results, bench.traffic() as traffic:
        try:
            for _ in range(KILLS):
                traffic.wait_for_lines(bench.movements)
                bench.kill_daemon()
                bench.start_daemon()
                [came_s] = bench.comings.wait(["daemon came"], STARTED_WITHIN_S)
                took_s += [at_s - came_s for at_s in bench.comings.wait(bench.attachments, ATTACHED_WITHIN_S)]
        finally:
            results.append(f"found {len(took_s) // len(bench.phones)} of {KILLS}")
        results.append(f"{spread(took_s)} after serving")
