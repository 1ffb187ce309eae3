from __future__ import annotations

import datetime
import plistlib

import pytest

from usbmux.errors import RemoteProtocolError
from usbmux.lockdown.values import checked_value, checked_values


def test_value_of_every_type_is_copied() -> None:
    value = {"a": [1, 2.5, True, "text", b"data", datetime.datetime(2026, 1, 1)], "b": {}}
    assert checked_value(value) == value
    assert checked_value(value) is not value


def test_value_that_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(RemoteProtocolError, match="nested"):
        checked_value(value)


def test_value_with_one_part_many_times_is_refused() -> None:
    value: list[object] = ["x"]
    for _ in range(24):
        value = [value, value]
    with pytest.raises(RemoteProtocolError, match="too many parts"):
        checked_value(value)


@pytest.mark.parametrize("value", [None, plistlib.UID(1), {1: 2}, [object()]])
def test_value_of_no_such_type_is_refused(value: object) -> None:
    with pytest.raises(RemoteProtocolError):
        checked_value(value)


@pytest.mark.parametrize("value", [-(1 << 63), (1 << 64) - 1])
def test_number_at_the_end_of_the_range_is_copied(value: int) -> None:
    assert checked_value([value]) == [value]


@pytest.mark.parametrize("value", [-(1 << 63) - 1, 1 << 64, pytest.param(1 << 20000, id="long")])
def test_number_that_nobody_could_print_is_refused(value: int) -> None:
    with pytest.raises(RemoteProtocolError, match="bits"):
        checked_value({"a": value})


def test_values_are_a_dictionary() -> None:
    assert checked_values({"a": 1}) == {"a": 1}
    with pytest.raises(RemoteProtocolError, match="no dictionary"):
        checked_values(["a"])
