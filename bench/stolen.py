"""Processor time that other machines on the same hardware had, while programs here wanted to run."""

import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_STAT: Final = Path("/proc/stat")
_STEAL: Final = 8
_JIFFY_S: Final = 0.01


class StolenTime:
    """Counts while the block is entered."""

    def __init__(self) -> None:
        self.share = 0.0
        """Of one processor's time, on average; 0 where the kernel is not told."""

    def __enter__(self) -> Self:
        self._began_s, self._stolen_s = time.monotonic(), _stolen_s()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.share = (_stolen_s() - self._stolen_s) / (time.monotonic() - self._began_s)


def _stolen_s() -> float:
    return int(_STAT.read_text().split(maxsplit=_STEAL + 1)[_STEAL]) * _JIFFY_S
