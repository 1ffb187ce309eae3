"""What clients leave unread in the daemon, added up for each user."""

from collections import Counter
from typing import Final

MAX_UNREAD: Final = 1 << 20
"""Of one client, in bytes; who leaves more is cut off."""
MAX_UNREAD_OF_USER: Final = 32 << 20
"""Of all clients of one user: many that stay below their own bound could still use up the memory for everybody."""


class Unread:
    """Bytes by user. Unknown users, as on TCP, count as one."""

    def __init__(self) -> None:
        self._bytes: Final[Counter[int | None]] = Counter()

    def add(self, uid: int | None, count: int) -> None:
        """So much more is unread; less if it is negative."""
        self._bytes[uid] += count
        if not self._bytes[uid]:
            del self._bytes[uid]

    def is_too_much(self, uid: int | None, of_client: int) -> bool:
        """Whether a client that leaves so much itself is to be cut off."""
        return of_client > MAX_UNREAD or (of_client > 0 and self._bytes[uid] > MAX_UNREAD_OF_USER)
