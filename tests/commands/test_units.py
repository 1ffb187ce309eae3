from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.commands.units import age, amount, rate, speed


@pytest.mark.parametrize(
    ("age_s", "shown"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1.0 min"), (5400, "1.5 h"), (86400, "1.0 d"), (8640000, "100.0 d")],
)
def test_age_is_shown_in_the_unit_that_fits(age_s: float, shown: str) -> None:
    assert age(age_s) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        *((0, "0 B"), (0.4, "0 B"), (999, "999 B"), (999.6, "1.00 kB"), (1000, "1.00 kB"), (9994, "9.99 kB")),
        *((9996, "10.0 kB"), (99_940, "99.9 kB"), (99_960, "100 kB"), (999_499, "999 kB"), (999_501, "1.00 MB")),
        *((43_210_000, "43.2 MB"), (5e9, "5.00 GB"), (1e12, "1.00 TB"), (1.5e15, "1500 TB")),
    ],
)
def test_amount_has_three_digits_and_a_prefix(count: float, shown: str) -> None:
    assert amount(count) == shown


@given(st.floats(0, 1e15))
def test_any_amount_is_short_and_nearly_right(count: float) -> None:
    number, unit = amount(count).split()
    factor = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    assert len(amount(count)) <= 7
    assert abs(float(number) * factor - count) <= max(0.5, 0.006 * count)


def test_what_is_not_known_is_a_dash() -> None:
    assert (rate(None), rate(0), rate(2500)) == ("-", "0 B/s", "2.50 kB/s")
    assert (speed(None), speed(0), speed(5_000_000_000)) == ("-", "-", "5000 Mbit/s")
