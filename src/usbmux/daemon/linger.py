"""How long something may stand still before it is given up."""

import asyncio
from collections.abc import Callable
from typing import Final

_LOOKS: Final = 8
"""How often in a linger time it is looked whether something has moved."""


class Linger:
    """Gives something up once nothing has moved for a time. Begins at once, and goes on until it is over or ended.

    Args:
        linger_s: How long that is; up to an eighth of it longer goes by.
        moved: What has moved so far; as long as it stays equal, nothing has.
        give_up: Called once, when the time is over.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        linger_s: float,
        moved: Callable[[], tuple[int, ...]],
        give_up: Callable[[], None],
    ) -> None:
        self._loop: Final = loop
        self._linger_s: Final = linger_s
        self._moved: Final = moved
        self._give_up: Final = give_up
        self._timer = self._look_again(moved(), linger_s)

    def end(self) -> None:
        """Give up no more. Idempotent."""
        self._timer.cancel()

    def _look_again(self, moved: tuple[int, ...], left_s: float) -> asyncio.TimerHandle:
        """Later: nothing may have moved for `left_s` more seconds."""
        return self._loop.call_later(self._linger_s / _LOOKS, self._look, moved, left_s)

    def _look(self, moved_before: tuple[int, ...], left_s: float) -> None:
        moved = self._moved()
        left_s = left_s - self._linger_s / _LOOKS if moved == moved_before else self._linger_s
        if left_s > 0:
            self._timer = self._look_again(moved, left_s)
        else:
            self._give_up()
