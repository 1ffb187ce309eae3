"""Pauses while one connection is a stream in both directions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.both_ways import BothWays
from tests.daemon.download_link import WINDOW
from tests.daemon.sleeping_clock import OVERSHOOT_S, Clock
from usbmux.daemon.moderation import Moderation

WINDOW_OF_USB_3 = 262_144


def with_pauses(overshoot_s: float = OVERSHOOT_S, **link: float) -> BothWays:
    clock = Clock(overshoot_s)
    return _both_ways(Moderation(clock, clock.sleep), clock, **link)


def without_pauses(**link: float) -> BothWays:
    return _both_ways(None, Clock(), **link)


def _both_ways(moderation: Moderation | None, clock: Clock, *, up: float, down: float, packet: float) -> BothWays:
    window = WINDOW if up < 60e6 else WINDOW_OF_USB_3
    return BothWays(moderation, clock, up=up, down=down, packet=int(packet), window=window)


@pytest.mark.parametrize("packet", [1500, 4060, 16_348])
def test_usb_2_many_packets_of_both_directions_are_a_turn_at_the_full_rate(packet: int) -> None:
    both, free = with_pauses(up=20e6, down=20e6, packet=packet), without_pauses(up=20e6, down=20e6, packet=packet)
    for each in (both, free):
        each.run(0.2, turn_s=40e-6, packet_s=5e-6)
    turns = both.turns, free.turns

    up, down = both.run(1, turn_s=40e-6, packet_s=5e-6)

    free.run(1, turn_s=40e-6, packet_s=5e-6)
    assert up > 0.98 * 20e6
    assert down > 0.98 * 20e6
    assert (both.turns - turns[0]) < (free.turns - turns[1]) / 3


@pytest.mark.parametrize("packet", [1500, 4060, 16_348, 65_000])
def test_usb_3_neither_direction_is_held_up(packet: int) -> None:
    both, free = with_pauses(up=400e6, down=400e6, packet=packet), without_pauses(up=400e6, down=400e6, packet=packet)

    rates, free_rates = both.run(1, turn_s=40e-6, packet_s=2e-6), free.run(1, turn_s=40e-6, packet_s=2e-6)

    assert rates[0] > 0.97 * free_rates[0]
    assert rates[1] > 0.97 * free_rates[1]


@settings(max_examples=60)
@given(
    up=st.floats(3e6, 1e9),
    ratio=st.floats(0.66, 1.5),
    packet=st.integers(1000, 65_000),
    turn_s=st.floats(1e-5, 5e-4),
    packet_s=st.floats(1e-6, 2.5e-5),
    overshoot_s=st.floats(1e-5, 5e-4),
)
def test_whatever_the_phone_it_is_held_up_by_little(
    up: float, ratio: float, packet: int, turn_s: float, packet_s: float, overshoot_s: float
) -> None:
    both = with_pauses(overshoot_s, up=up, down=up * ratio, packet=packet)
    free = without_pauses(up=up, down=up * ratio, packet=packet)
    for each in (both, free):
        each.run(0.1, turn_s=turn_s, packet_s=packet_s)

    found = both.run(0.6, turn_s=turn_s, packet_s=packet_s)

    assert sum(found) > 0.9 * sum(free.run(0.6, turn_s=turn_s, packet_s=packet_s))
