from __future__ import annotations

import pytest

from bench.figure import Figure, Spread, noise, ratios, spread


def test_values_spread_is_their_median_and_range() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(median=2.5, least=1.0, most=10.0)


def test_spread_text_has_its_digits() -> None:
    assert Spread(1.234, 1.0, 2.0).text(2) == "1.23 [1.00-2.00]"


def test_rounds_ratios_pair_ours_with_theirs() -> None:
    assert ratios([2.0, 3.0], [1.0, 2.0]) == [2.0, 1.5]


def test_rounds_ratios_leave_out_rounds_without_theirs() -> None:
    assert ratios([2.0, 3.0], [0.0, 2.0]) == [1.5]


def test_steady_program_has_no_noise() -> None:
    assert noise([5.0, 5.0, 5.0]) == 0


def test_unsteady_program_noise_is_the_middle_step() -> None:
    assert noise([10.0, 11.0, 11.0, 5.5]) == pytest.approx(0.1)


def test_one_round_has_no_noise() -> None:
    assert noise([5.0]) is None


@pytest.mark.parametrize(("ratio", "is_reached"), [(1.4, True), (1.346, True), (1.34, False)])
def test_ratio_target_of_a_rate_is_reached_from_below(ratio: float, is_reached: bool) -> None:
    rate = Figure("rate", "MB/s", is_more_better=True, ratio_target=1.35)
    assert rate.is_reached(ratio, 0) is is_reached
    assert rate.target_text == ">= 1.35"


@pytest.mark.parametrize(("own", "is_reached"), [(249, True), (251, False)])
def test_own_target_of_a_cost_is_reached_from_above(own: float, is_reached: bool) -> None:
    ready = Figure("ready", "ms", own_target=250)
    assert ready.is_reached(0.1, own) is is_reached
    assert ready.target_text == "<= 250 ms"


def test_figure_without_target_is_neither_reached_nor_missed() -> None:
    assert Figure("cpu", "us").is_reached(0.5, 1) is None
