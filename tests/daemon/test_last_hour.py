from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from usbmux.daemon.last_hour import LastHour

HOUR_S = 3600


@given(st.lists(st.floats(0, 3 * HOUR_S)).map(sorted), st.floats(0, HOUR_S))
def test_anything_happens_the_last_hour_is_counted_to_the_minute(times: list[float], later_s: float) -> None:
    happened = LastHour()
    for time in times:
        happened.add(time)
    now = max(times, default=0.0) + later_s
    at_least = sum(time > now - HOUR_S + 60 for time in times)
    at_most = sum(time > now - HOUR_S for time in times)
    assert at_least <= happened.count(now) <= at_most


def test_it_happens_for_days_it_stays_small() -> None:
    happened = LastHour()
    for time in range(0, 48 * HOUR_S, 10):
        happened.add(time)
    assert len(happened._minutes) == 60
    assert happened.count(48 * HOUR_S - 1) == 360
