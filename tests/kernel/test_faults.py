"""Phones that do not behave: without a mux at first, with endpoints that stall, cut off in the middle of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.bench import ATTACHED_WITHIN_S, DETACHED_WITHIN_S, IS_FULL, OURS, Bench
from tests.kernel.guest import Guest
from tests.kernel.phones import Phones
from usbmux.testing.usb_phone import ENDPOINT_IN, ENDPOINT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kernel.figures import Figures

MODE_WITHOUT_MUX = 5
QUERY_MODE, SWITCH_MODE = 0x45, 0x52
ECHO, SOURCE, DIGEST = 7, 19, 99
LENGTHS = ("512", "16384", "49152", "65535")
LIST = "python3 -m usbmux list -l"

pytestmark = [pytest.mark.kernel, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def bench(initramfs: Path, tmp_path_factory: pytest.TempPathFactory, figures: Figures) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("guest")
    with Phones(folder, ["ehci", "xhci"], mode=MODE_WITHOUT_MUX) as phones:
        cables = [phone.cable for phone in phones]
        with Guest(initramfs, folder, cables=cables) as guest, Bench(guest, list(phones), OURS, figures) as bench:
            yield bench


def assert_carry_bytes(bench: Bench) -> None:
    for phone in bench.phones:
        bench.guest.run("python3", "/project/transfers.py", phone.udid, *LENGTHS, within_s=120.0)


def test_phones_without_mux_were_asked_once_and_came_with_one(bench: Bench) -> None:
    assert [phone.mode_requests for phone in bench.phones] == [[(QUERY_MODE, 0), (SWITCH_MODE, 1)]] * 2
    assert_carry_bytes(bench)


@pytest.mark.parametrize("index", [0, 1], ids=["high_speed", "super_speed"])
def test_reads_stalled_amid_transfer_are_healed_without_loss(bench: Bench, index: int) -> None:
    phone = bench.phones[index]
    attached = bench.guest.run(LIST).output

    with bench.guest.start("python3", "/project/transfers.py", phone.udid, *LENGTHS) as transfers:
        for port in (DIGEST, SOURCE, ECHO):
            bench.daemon.wait_for_line(f"connected to {phone.udid}:{port} ")
            phone.stall(ENDPOINT_IN)
            bench.daemon.wait_for_line(f"endpoint {ENDPOINT_IN:#04x} stalled")
        assert transfers.wait(120.0) == 0, transfers.output

    assert bench.guest.run(LIST).output == attached


@pytest.mark.parametrize("endpoint", [ENDPOINT_IN, ENDPOINT_OUT], ids=hex)
def test_endpoint_that_goes_on_stalling_phone_is_opened_anew(bench: Bench, endpoint: int) -> None:
    with bench.traffic() as traffic:
        traffic.wait_for_lines(bench.movements)
        for phone in bench.phones:
            phone.stall(endpoint, times=1000)
        bench.comings.wait(bench.detachments, DETACHED_WITHIN_S)
    bench.comings.wait(bench.attachments, ATTACHED_WITHIN_S)
    assert_carry_bytes(bench)


@pytest.mark.parametrize("count", [1, 65536, 300001] if IS_FULL else [300001])
def test_phones_cut_off_in_the_middle_of_a_request_come_back(bench: Bench, count: int) -> None:
    with bench.traffic() as traffic:
        traffic.wait_for_lines(bench.movements)
        for phone in bench.phones:
            phone.unplug_after(count)
        bench.comings.wait(bench.detachments, DETACHED_WITHIN_S)
    bench.plug()
    assert_carry_bytes(bench)
