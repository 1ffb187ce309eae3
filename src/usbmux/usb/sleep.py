"""Whether the machine has slept, where the system tells: on Linux.

A phone may lose its power meanwhile, and with it all that it knew of us. As a rule the kernel ends the transfers that
are under way; but those that came to their end before the bus was stopped look as if nothing had happened.
"""

import sys
import time
from typing import Final

_SHORTEST_SLEEP_S: Final = 0.1


class SleepCheck:
    """Looks back to the moment when it was made."""

    def __init__(self) -> None:
        # The order of the readings, here and below, lets what comes between them hide a sleep, but never feign one.
        running_s = time.monotonic()
        self._slept_before_s: Final = _since_boot_s() - running_s

    def has_slept(self) -> bool:
        """Whether the machine has slept since."""
        return _since_boot_s() - time.monotonic() - self._slept_before_s > _SHORTEST_SLEEP_S


def _since_boot_s() -> float:
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    else:
        return time.monotonic()
