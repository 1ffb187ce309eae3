"""What the doctor says."""

from enum import Enum

from usbmux.values import frozen


class Severity(Enum):
    """How bad it is."""

    OK = "ok"
    """Looked at, and as it should be."""
    NOTE = "note"
    """Good to know: it may be meant so, or cannot be seen from here."""
    WARNING = "warning"
    """Somebody will not get what he expects."""
    PROBLEM = "problem"
    """A phone, or the daemon, cannot be used."""

    @property
    def is_well(self) -> bool:
        """Whether nothing needs to be done about it."""
        return self in (Severity.OK, Severity.NOTE)


@frozen
class Finding:
    """One sentence, and what to do about it."""

    check: str
    """What was looked at, in a word."""
    severity: Severity
    text: str
    fix: str = ""
    """One line: a command, or what to do at the phone; empty where there is nothing to do."""
