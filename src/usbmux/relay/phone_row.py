"""Which phone each of several local ports leads to. Sans-IO."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from usbmux.control.message import normalized_udid

_WILDCARDS: Final = "*?"


class PhoneRow:
    """Gives each phone the first free place when it is seen for the first time, for as long as the row lives.

    A phone that goes keeps its place: its port means nobody else when it is back.

    Args:
        length: How many places there are.
        pattern: Which phones get one: those whose UDIDs fit (``*`` and ``?`` stand for anything), or begin so.
    """

    def __init__(self, length: int, pattern: str = "*") -> None:
        self._length: Final = length
        plain = normalized_udid(pattern).replace("[", "[[]")  # which fnmatch would take for a choice
        self._pattern: Final = plain if has_wildcard(pattern) else f"{plain}*"
        self._udids: Final[list[str]] = []

    def seen(self, udids: Iterable[str]) -> list[int]:
        """These phones are there, in this order if they are new; return the places that were given."""
        first_free = len(self._udids)
        for udid in udids:
            is_new = udid not in self._udids and len(self._udids) < self._length
            if is_new and fnmatchcase(normalized_udid(udid), self._pattern):
                self._udids.append(udid)
        return list(range(first_free, len(self._udids)))

    def udid(self, place: int) -> str | None:
        """Who has that place; None: nobody yet."""
        return self._udids[place] if place < len(self._udids) else None


def has_wildcard(text: str) -> bool:
    """Whether it stands for several phones by itself."""
    return any(character in text for character in _WILDCARDS)
