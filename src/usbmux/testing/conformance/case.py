"""One question to a server, the answers that the field takes, and what came of it."""

from collections.abc import Callable
from enum import Enum

from usbmux.testing.conformance.subject import Need, Subject
from usbmux.values import field, frozen


@frozen
class Case:
    """A stimulus and the answers to it with which clients can live."""

    name: str
    """Group and case, such as ``connect.refused``; stable."""
    stimulus: str
    """What is sent, in a few words."""
    expected: tuple[str, ...]
    """Each of these conforms, in the words of `usbmux.testing.conformance.answer`."""
    source: str
    """Who sends it or answers so, with the rule of docs/protocol/control.md; ``ours`` where the field is silent."""
    observe: Callable[[Subject], str] = field(repr=False)
    """Applies the stimulus and says what came, in the same words."""
    needs: frozenset[Need] = frozenset()
    """Without them it is skipped."""

    def __str__(self) -> str:
        return self.name

    @property
    def is_ours(self) -> bool:
        """Whether this project alone expects it; who deviates has broken no client that we know."""
        return self.source.startswith("ours")


class Verdict(Enum):
    """What a case found."""

    CONFORMS = "conforms"
    DEVIATES = "deviates"
    """Something else came."""
    NO_ANSWER = "no answer"
    """Nothing came in time, or nobody served any more."""
    SKIPPED = "skipped"


@frozen
class CaseResult:
    """One case on one server."""

    case: Case
    verdict: Verdict
    came: str
    """What the server did; of a skipped case what was missing."""
