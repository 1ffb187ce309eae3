"""Which processors daemons and clients run on: never the same, where there are two."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_ALL: Final = sorted(os.sched_getaffinity(0))


@contextmanager
def pinned_clients() -> Iterator[None]:
    """Leave the last processor to the daemons, while the block is entered; for this process and what it starts."""
    if len(_ALL) > 1:
        os.sched_setaffinity(0, _ALL[:-1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, _ALL)


def pin_daemon(pid: int) -> None:
    """Move a process to the last processor, all its threads."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), _ALL[-1:])


def processors_text() -> str:
    """What was done, for the reader."""
    if len(_ALL) > 1:
        return f"{len(_ALL)}: daemons on {_ALL[-1]}, clients on {','.join(map(str, _ALL[:-1]))}"
    return "1, for daemons and clients"
