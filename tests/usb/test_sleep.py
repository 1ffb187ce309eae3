from __future__ import annotations

import sys
import time

import pytest

from usbmux.usb.sleep import SleepCheck


class Clocks:
    """The two clocks of Linux; the second stands still while the machine sleeps."""

    def __init__(self) -> None:
        self.since_boot_s = 5000.0
        self.running_s = 3000.0
        self.delay_s = 0.0
        """Passes between any two readings."""

    def clock_gettime(self, clock: int) -> float:
        assert clock == time.CLOCK_BOOTTIME
        self.run(self.delay_s)
        return self.since_boot_s

    def monotonic(self) -> float:
        self.run(self.delay_s)
        return self.running_s

    def run(self, seconds: float) -> None:
        self.since_boot_s += seconds
        self.running_s += seconds

    def sleep(self, seconds: float) -> None:
        self.since_boot_s += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    if sys.platform != "linux":
        pytest.skip("only Linux tells")
    clocks = Clocks()
    monkeypatch.setattr("usbmux.usb.sleep.time.clock_gettime", clocks.clock_gettime)
    monkeypatch.setattr("usbmux.usb.sleep.time.monotonic", clocks.monotonic)
    return clocks


def test_machine_awake_for_long_has_not_slept(clocks: Clocks) -> None:
    check = SleepCheck()

    clocks.run(100000.0)

    assert not check.has_slept()


def test_machine_slept_since_is_noticed_until_looked_from_later(clocks: Clocks) -> None:
    check = SleepCheck()

    clocks.sleep(1.0)

    assert check.has_slept()
    assert check.has_slept()
    assert not SleepCheck().has_slept()


@pytest.mark.parametrize("slow_at", ["start", "look"])
def test_clocks_read_with_long_rests_between_feign_no_sleep(clocks: Clocks, slow_at: str) -> None:
    clocks.delay_s = 10.0 if slow_at == "start" else 0.0
    check = SleepCheck()
    clocks.delay_s = 10.0 if slow_at == "look" else 0.0

    assert not check.has_slept()
