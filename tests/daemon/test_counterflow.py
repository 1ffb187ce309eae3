"""What comes from a phone during an upload: how long it can go on alone."""

from __future__ import annotations

import math

import pytest

from usbmux.daemon.counterflow import Counterflow

WINDOW = 131_072


def test_nothing_comes_we_may_sleep_for_ever() -> None:
    assert Counterflow().patience_s(0.005, 1.0) == math.inf


def test_rate_is_not_known_yet_we_may_not_sleep() -> None:
    counterflow = Counterflow()
    counterflow.came(16_384, 16_384, WINDOW, 1.0)

    assert counterflow.patience_s(0.001, 1.019) == 0


@pytest.mark.parametrize(("rate", "patience_s"), [(20e6, 0.0028672), (10e6, 0.0057344)])
def test_rate_is_known_we_may_sleep_for_half_a_window(rate: float, patience_s: float) -> None:
    counterflow = coming(rate)

    assert counterflow.patience_s(0.001, 1.025) == pytest.approx(patience_s)


def test_more_comes_than_a_window_while_it_hears_nothing_we_may_not_sleep_for_a_while() -> None:
    counterflow = coming(20e6)

    assert counterflow.patience_s(0.0058, 1.025) == 0
    assert counterflow.patience_s(0.001, 1.026) == 0
    assert counterflow.patience_s(0.001, 1.28) > 0


def test_less_comes_than_before_highest_rate_counts() -> None:
    counterflow = coming(20e6)
    before_s = counterflow.patience_s(0.001, 1.025)
    counterflow.came(1, 1, WINDOW, 1.04)

    assert counterflow.patience_s(0.001, 1.06) == before_s


def test_another_upload_begins_nothing_is_known() -> None:
    counterflow = coming(20e6)

    counterflow.begin_anew()

    assert counterflow.patience_s(0.001, 1.025) == math.inf


def coming(rate: float) -> Counterflow:
    """From 1.0 on, for 25 ms."""
    counterflow = Counterflow()
    for number in range(25):
        counterflow.came(int(rate / 1000), 16_384, WINDOW, 1 + number / 1000)
    return counterflow
