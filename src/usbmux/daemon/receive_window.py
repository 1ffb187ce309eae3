"""How much a phone may send before it hears from us: more over a faster bus. See decision 6."""

from dataclasses import replace
from typing import Final

from usbmux.mux.settings import MuxSettings

_FACTORS: Final = ((10_000_000_000, 4), (5_000_000_000, 2))
"""From so many bit/s on, by how much the window of USB 2 is multiplied."""


def at_speed(settings: MuxSettings, connection_speed: int) -> MuxSettings:
    """The settings for a phone.

    A window lasts for as long as the bus needs for it: 3 ms on USB 2, a tenth of that on USB 3, unless it is larger
    there. What is acknowledged at once stays the same, as a phone may keep less than a window for us.

    Args:
        settings: Those for USB 2.
        connection_speed: Of its bus, in bit/s.
    """
    factor = next((factor for speed, factor in _FACTORS if connection_speed >= speed), 1)
    if factor == 1:
        return settings
    return replace(
        settings,
        receive_window=settings.receive_window * factor,
        acknowledge_share=settings.acknowledge_share / factor,
    )
