"""Where the daemon's log goes, and what a line of it looks like."""

import json
import logging
import os
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

from usbmux.daemon.peer import Peer

FORMATS: Final = ("text", "logfmt", "json", "journald")
_ABOUT: Final = ("client", "udid", "device")
_PRIORITIES: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Of syslog, see sd-daemon(3)."""


class Log:
    """The handler of the root logger. Until `open` it writes to stderr.

    Args:
        form: One of `FORMATS`: for people, key=value, a JSON object a line, or for systemd's journal.
        path: A file to append to; None: stderr.
    """

    def __init__(self, form: str, path: Path | None) -> None:
        self._path: Final = path and path.absolute()
        self._handler: Final = _Handler(sys.stderr)
        self._handler.setFormatter(_FORMATTERS[form]())
        self._file: TextIO | None = None

    def start(self, verbosity: int) -> None:
        """Log warnings, with 1 also what happens, with 2 every request."""
        logging.getLogger().addHandler(self._handler)
        logging.getLogger("asyncio").setLevel(logging.WARNING)
        self.set_verbosity(verbosity)
        self.reopen()

    def set_verbosity(self, verbosity: int) -> None:
        """See `start`."""
        level = (logging.WARNING, logging.INFO)[verbosity] if verbosity < 2 else logging.DEBUG
        logging.getLogger().setLevel(level)

    def reopen(self) -> None:
        """Open the file anew, because somebody has moved the old one away.

        Raises:
            OSError: It cannot be opened; the old one stays in use.
        """
        if self._path is None:
            return
        # Line-buffered, and private: it tells who uses which phone.
        file = open(self._path, "a", buffering=1, encoding="utf-8", opener=_open_private)  # noqa: SIM115 - stays open
        self._handler.turn_to(file)
        self._close_file()
        self._file = file

    def give_to(self, user: int, group: int) -> None:
        """Let the file that root has opened be the user's that we are about to become, who is to open it anew."""
        if self._file is None:
            return
        facts = os.fstat(self._file.fileno())
        if stat.S_ISREG(facts.st_mode) and facts.st_uid == 0 and facts.st_nlink == 1:  # else it is not for us to give
            os.fchown(self._file.fileno(), user, group)

    def close(self) -> None:
        """Log no more, and close the file."""
        logging.getLogger().removeHandler(self._handler)
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # of lines that are lost, which was said before
                self._file.close()
            self._file = None


def _open_private(path: str, flags: int) -> int:
    # A pipe that nobody reads would hold up the start, and with HUP all phones: it is an error.
    without_waiting = getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | without_waiting, 0o640)
    if without_waiting:
        os.set_blocking(descriptor, True)
    return descriptor


class _Handler(logging.StreamHandler[TextIO]):
    """Says once that lines are lost, for want of room as a rule. Python's own would say it at length of every line."""

    is_failing = False

    def turn_to(self, stream: TextIO) -> None:
        """Write there from now on. What the old stream does not take is lost, which was said before."""
        with suppress(OSError):
            self.flush()
        self.stream = stream
        self.is_failing = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.is_failing:
            self.is_failing = True
            with suppress(OSError):  # stderr may be what fails
                print(f"the log cannot be written, and lines are lost: {error}", file=sys.stderr, flush=True)


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")


class _JournalFormatter(logging.Formatter):
    """The journal has a clock of its own. Every line of a message needs its priority."""

    def format(self, record: logging.LogRecord) -> str:
        priority = _PRIORITIES.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{line}" for line in f"{record.name}: {super().format(record)}".splitlines())


class _LogfmtFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={_quoted(str(value))}" for key, value in _fields(record, super().format).items())


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(record, super().format), ensure_ascii=False)


_FORMATTERS: Final[dict[str, Callable[[], logging.Formatter]]] = {
    "text": _TextFormatter,
    "logfmt": _LogfmtFormatter,
    "json": _JsonFormatter,
    "journald": _JournalFormatter,
}


def _fields(record: logging.LogRecord, message: Callable[[logging.LogRecord], str]) -> dict[str, str | int]:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    fields: dict[str, str | int] = {
        "time": f"{seconds}.{int(record.msecs):03}Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": message(record),
    }
    # Whom the line is about, for programs that look for it; the message says it too.
    fields |= {name: value for name in _ABOUT if (value := getattr(record, name, None)) is not None}
    if isinstance(peer := getattr(record, "peer", None), Peer):
        fields |= peer.fields
    return fields


def _quoted(value: str) -> str:
    is_plain = value and all(character.isprintable() and character not in ' "=\\' for character in value)
    return value if is_plain else json.dumps(value, ensure_ascii=False)
