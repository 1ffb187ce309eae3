from __future__ import annotations

import pytest

from usbmux.relay.phone_row import PhoneRow


def test_phones_come_each_gets_the_first_free_place() -> None:
    row = PhoneRow(3)
    assert row.seen(["B", "A"]) == [0, 1]
    assert row.seen(["C"]) == [2]
    assert [row.udid(place) for place in range(3)] == ["B", "A", "C"]


def test_phone_comes_again_it_has_its_place_still() -> None:
    row = PhoneRow(3)
    row.seen(["A", "B"])
    assert row.seen(["B"]) == []
    assert row.seen(["B", "C"]) == [2]
    assert row.udid(1) == "B"


def test_more_phones_than_places_the_last_get_none() -> None:
    row = PhoneRow(1)
    assert row.seen(["A", "B"]) == [0]
    assert row.seen(["C"]) == []
    assert row.udid(0) == "A"


def test_no_phone_came_the_place_is_nobodys() -> None:
    assert PhoneRow(2).udid(1) is None


@pytest.mark.parametrize(
    ("pattern", "fitting"),
    [
        ("*", ["00008030-AB", "00008101-CD"]),
        ("00008030", ["00008030-AB"]),
        ("00008030-a", ["00008030-AB"]),
        ("*cd", ["00008101-CD"]),
        ("000081?1*", ["00008101-CD"]),
        ("*[C]D", []),
        ("00008030-AB?", []),
    ],
)
def test_pattern_chooses_who_gets_a_place(pattern: str, fitting: list[str]) -> None:
    row = PhoneRow(2, pattern)
    places = row.seen(["00008030-AB", "00008101-CD"])
    assert [row.udid(place) for place in places] == fitting
