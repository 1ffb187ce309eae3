"""Where rows are measured: daemons that are kept running, one of each kind for a link, and folders for others."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.build import Tools
from bench.link import Link
from bench.subject import INSTALLED, RunningDaemon


class Stand:
    """Starts daemons and keeps those that rows share. Use as a context manager.

    Args:
        seconds: How long a load is measured.
        launcher: What ours is started by; see `RunningDaemon`.
    """

    def __init__(self, tools: Tools, seconds: float, launcher: Sequence[str] = INSTALLED) -> None:
        self.tools = tools
        self.seconds = seconds
        self._launcher = launcher
        self._kept: dict[tuple[str, Link], RunningDaemon] = {}
        self._folders: list[tempfile.TemporaryDirectory[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def daemon(self, subject: str, link: Link) -> RunningDaemon:
        """The daemon that rows share; those of other links are stopped."""
        if any(kept is not link for _, kept in self._kept):
            self.clear()
        if (subject, link) not in self._kept:
            self._kept[subject, link] = self.start(subject, link)
        return self._kept[subject, link]

    def start(self, subject: str, link: Link, variables: Mapping[str, str] | None = None) -> RunningDaemon:
        """A daemon for one row; the row stops it."""
        folder = tempfile.TemporaryDirectory(prefix="bench", dir="/tmp")
        self._folders.append(folder)
        return RunningDaemon(subject, Path(folder.name), self.tools, link, variables, self._launcher)

    def clear(self) -> None:
        """Stop what is shared."""
        kept, self._kept = self._kept, {}
        for daemon in kept.values():
            daemon.stop()
        folders, self._folders = self._folders, []
        for folder in folders:
            folder.cleanup()
