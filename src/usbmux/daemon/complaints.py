"""Warnings about what clients do, and no more of them than a log can bear."""

import logging
from collections.abc import Callable
from typing import Final

from usbmux.daemon.log_budget import LogBudget
from usbmux.daemon.peer import Peer

logger = logging.getLogger("usbmux.daemon.client")

_USERS: Final = 1024
"""So many are remembered; a user namespace can have more."""


class Complaints:
    """Each user has a `LogBudget`: who asks again and again for what is refused neither fills the log nor hides others.

    Args:
        clock: Any, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock: Final = clock
        self._budgets: Final[dict[int | None, LogBudget]] = {}

    def warn(self, peer: Peer, text: str, *arguments: object, client: int | None = None) -> None:
        """Write a line about a client of that user, or count it as withheld.

        Args:
            peer: The client's process.
            text: As for a logger.
            arguments: What stands in the text.
            client: The client's number, if it has got one.
        """
        uid = peer.uid
        budget = self._budgets.pop(uid) if uid in self._budgets else LogBudget()
        self._budgets[uid] = budget  # at the end: who was complained about last is forgotten last
        if len(self._budgets) > _USERS:
            del self._budgets[next(iter(self._budgets))]
        if not budget.take(self._clock()):
            return
        if withheld := budget.take_withheld():
            user = "unknown users" if uid is None else f"uid {uid}"
            logger.warning("%d lines about clients of %s were withheld", withheld, user)
        logger.warning(text, *arguments, extra={"peer": peer, "client": client})
