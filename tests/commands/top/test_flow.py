from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.commands.top.flow import HISTORY, Flow, Meter

readings = st.lists(st.tuples(st.integers(0, 2**40), st.floats(0.01, 100)), max_size=100)


def test_one_reading_says_nothing() -> None:
    assert Meter().read(5, 1.0) == Flow()


def test_counter_counts_rate_is_by_the_time_between() -> None:
    meter = Meter()
    meter.read(1000, 10.0)
    assert meter.read(1500, 10.5) == Flow(1000.0, (1000.0,))
    assert meter.read(1500, 11.5) == Flow(0.0, (1000.0, 0.0))


def test_counter_is_lower_it_began_again_at_zero() -> None:
    meter = Meter()
    meter.read(1000, 1.0)
    assert meter.read(30, 2.0).per_s == 30.0


def test_clock_stands_still_reading_is_left_for_the_next() -> None:
    meter = Meter()
    meter.read(0, 1.0)
    assert meter.read(10, 1.0) == Flow()
    assert meter.read(20, 2.0).per_s == 20.0


@given(readings)
def test_any_readings_rates_are_never_negative_and_the_last_are_remembered(found: list[tuple[int, float]]) -> None:
    meter, now, flow = Meter(), 0.0, Flow()
    for count, passed_s in found:
        now += passed_s
        flow = meter.read(count, now)
    assert len(flow.history) == min(HISTORY, max(len(found) - 1, 0))
    assert all(rate >= 0 for rate in flow.history)
    assert flow.per_s == (flow.history[-1] if flow.history else None)


@given(st.lists(st.integers(0, 2**30), min_size=1, max_size=HISTORY))
def test_counter_counts_up_once_a_second_rates_add_up_to_it(steps: list[int]) -> None:
    meter, count = Meter(), 0
    flow = meter.read(count, 0.0)
    for second, step in enumerate(steps, 1):
        count += step
        flow = meter.read(count, float(second))
    assert sum(flow.history) == pytest.approx(count)
