"""How much a phone may send before it hears from us."""

from __future__ import annotations

import pytest

from usbmux.daemon.receive_window import at_speed
from usbmux.mux.settings import MuxSettings


@pytest.mark.parametrize("connection_speed", [1_500_000, 12_000_000, 480_000_000])
def test_usb_2_and_slower_settings_are_as_they_were(connection_speed: int) -> None:
    settings = MuxSettings(linger_s=5)

    assert at_speed(settings, connection_speed) is settings


@pytest.mark.parametrize(
    ("connection_speed", "window"),
    [(5_000_000_000, 262_144), (10_000_000_000, 524_288), (20_000_000_000, 524_288)],
)
def test_usb_3_window_is_larger_and_as_many_bytes_are_acknowledged_at_once(connection_speed: int, window: int) -> None:
    settings = at_speed(MuxSettings(linger_s=5), connection_speed)

    assert (settings.receive_window, settings.linger_s) == (window, 5)
    assert settings.receive_window * settings.acknowledge_share == 32_768
