"""Tests on this system as on one whose selectors can do less: USBMUX_TEST_SELECTOR is ``poll`` or ``select``."""

from __future__ import annotations

import os
import select
import selectors
from typing import Final

VARIABLE: Final = "USBMUX_TEST_SELECTOR"
_REMOVED: Final = {"poll": ("epoll",), "select": ("epoll", "poll")}
_SELECTORS: Final = {"poll": "PollSelector", "select": "SelectSelector"}


def become_poorer() -> None:
    """Do what the variable says, before anything of ours is imported, which looks once at what there is."""
    kind = os.environ.get(VARIABLE)
    if not kind:
        return
    if kind not in _SELECTORS:
        raise ValueError(f"{VARIABLE} is {kind!r}; it knows poll and select")
    default = getattr(selectors, _SELECTORS[kind])
    for name in _REMOVED[kind]:
        if hasattr(select, name):
            delattr(select, name)
    selectors.DefaultSelector = default  # type: ignore[misc]
