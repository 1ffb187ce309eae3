"""How long the daemon waits for clients to say what they want."""

import asyncio
from typing import Final, Protocol


class Awaited(Protocol):
    """Somebody who must do something in time."""

    def give_up(self) -> None:
        """It was not done."""


class Patience:
    """Those that are waited for, all equally long, so that who began first is due first.

    One timer serves them all. It is never put off: it may come too early, and costs less than being moved.

    Args:
        timeout_s: How long each may take.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        self._loop: Final = loop
        self._timeout_s: Final = timeout_s
        self._ends: Final[dict[Awaited, float]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, awaited: Awaited) -> None:
        """Give it up when the time is over. No effect while it is under way for the same one."""
        if awaited not in self._ends:
            self._ends[awaited] = self._loop.time() + self._timeout_s
            if self._timer is None:
                self._timer = self._loop.call_later(self._timeout_s, self._look)

    def end(self, awaited: Awaited) -> None:
        """Wait for it no more. Idempotent."""
        self._ends.pop(awaited, None)

    def close(self) -> None:
        """Wait for nobody any more."""
        self._ends.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        try:
            while self._ends:
                awaited, end = next(iter(self._ends.items()))
                if end > self._loop.time():
                    break
                del self._ends[awaited]
                awaited.give_up()
        finally:
            if self._ends:
                self._timer = self._loop.call_at(next(iter(self._ends.values())), self._look)
