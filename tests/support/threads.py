"""A system that gives no thread, as where the limit of processes or of memory is reached."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def give_no_thread(patch: pytest.MonkeyPatch) -> None:
    """From now on; those that run go on."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    patch.setattr(threading.Thread, "start", refuse)
