"""Deadlines of blocking calls: readings of time.monotonic(), infinity for none."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket

PAST: Final = -math.inf
"""The deadline of what is not to wait."""
_LONGEST_TIMEOUT_S: Final = 24 * 86400.0
"""Sockets wait with poll(), whose milliseconds have 31 bits."""


def deadline_after(timeout_s: float | None) -> float:
    """Return when the timeout ends."""
    return math.inf if timeout_s is None else time.monotonic() + timeout_s


def left_s(deadline: float) -> float | None:
    """Return how long the next call may wait, at most 24 days; None for ever, 0 if the deadline has passed."""
    rest_s = deadline - time.monotonic()
    return None if rest_s == math.inf else min(max(0.0, rest_s), _LONGEST_TIMEOUT_S)


def set_deadline(stream: socket.socket, deadline: float) -> None:
    """Let the socket's next call wait so long; see `left_s`."""
    stream.settimeout(left_s(deadline))
