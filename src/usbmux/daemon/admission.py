"""How many clients there may be, so that none of them can use up the daemon for the others."""

from collections import Counter
from enum import Enum

from usbmux.values import frozen


@frozen
class ClientLimits:
    """Open client sockets, streams included."""

    total: int = 8192
    """One behind TLS counts as three: that is how many sockets it takes."""
    for_each_uid: int = 4096
    """Unknown ones, as on TCP, count as one uid."""


class Refusal(Enum):
    """Why a newcomer is sent away."""

    CLIENTS = "clients"
    """There are as many as there may be."""
    CLIENTS_OF_USER = "clients_of_user"


class Admission:
    """Counts clients and refuses those that are too many."""

    def __init__(self, limits: ClientLimits) -> None:
        self.limits = limits
        """For those that come from now on."""
        self.refused: Counter[Refusal] = Counter()
        """How many newcomers were, since the start."""
        self._counts: dict[int | None, int] = {}
        self._total = 0

    @property
    def total(self) -> int:
        """How many there are."""
        return self._total

    def admit(self, uid: int | None, sockets: int = 1) -> str | None:
        """Count one more, with so many sockets, or say why not."""
        if self._total + sockets > self.limits.total:
            self.refused[Refusal.CLIENTS] += 1
            return f"{self._total} clients are connected, which is the limit"
        count = self._counts.get(uid, 0)
        if count + sockets > self.limits.for_each_uid:
            self.refused[Refusal.CLIENTS_OF_USER] += 1
            whose = "unknown users" if uid is None else f"uid {uid}"
            return f"{count} clients of {whose} are connected, which is the limit"
        self._counts[uid] = count + sockets
        self._total += sockets
        return None

    def release(self, uid: int | None, sockets: int = 1) -> None:
        """One that was admitted is gone, and these sockets are closed."""
        self._total -= sockets
        self._counts[uid] -= sockets
        if not self._counts[uid]:
            del self._counts[uid]
