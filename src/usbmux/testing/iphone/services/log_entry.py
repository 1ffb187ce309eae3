"""One message of the phone's log."""

from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from usbmux.values import field, frozen

PROCESSES: Final = MappingProxyType(
    {
        1: "/sbin/launchd",
        31: "/usr/libexec/logd",
        58: "/usr/libexec/lockdownd",
        61: "/System/Library/CoreServices/SpringBoard.app/SpringBoard",
        74: "/usr/libexec/diagnosticd",
    }
)
"""What runs on a phone of which nothing else is said: paths by process id."""
_LOGD: Final = 31
_SPRINGBOARD: Final = 61


class LogLevel(Enum):
    """How grave a message is; the value is the number in a trace record."""

    NOTICE = 0x00
    INFO = 0x01
    DEBUG = 0x02
    ERROR = 0x10
    FAULT = 0x11


def _now() -> datetime:
    return datetime.now(UTC)


@frozen
class LogEntry:
    """What a process has logged.

    Relays cut a text after 65,534 bytes; trace records drop the NULs in it, lines escape them.
    """

    message: str
    level: LogLevel = LogLevel.NOTICE
    process_path: str = PROCESSES[_SPRINGBOARD]
    pid: int = _SPRINGBOARD
    """0 to 4,294,967,295."""
    library_path: str = ""
    """The image whose code logged it; empty if it is the process itself."""
    subsystem: str = ""
    category: str = ""
    time: datetime = field(default_factory=_now)
    """When; lines of text show it in the zone that it has."""

    @property
    def process(self) -> str:
        """The name of the process."""
        return PurePosixPath(self.process_path).name

    @property
    def library(self) -> str:
        """The name of the library; empty if it is the process itself."""
        return PurePosixPath(self.library_path).name


def welcome_entry() -> LogEntry:
    """What a reader is told first, so that it knows from when on it misses nothing."""
    return LogEntry("a host reads the log", LogLevel.NOTICE, PROCESSES[_LOGD], _LOGD)


def loss_entry(count: int) -> LogEntry:
    """What a reader who was too slow is told: that `count` messages are missing here."""
    message = f"{count} messages lost, because the reader was slow"
    return LogEntry(message, LogLevel.FAULT, PROCESSES[_LOGD], _LOGD)
