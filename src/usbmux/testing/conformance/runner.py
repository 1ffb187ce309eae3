"""Applies cases to a server, one after the other."""

from collections.abc import Iterable, Iterator

from usbmux.errors import DaemonUnavailableError, RemoteProtocolError, RequestTimeoutError
from usbmux.testing.conformance.answer import NO_ANSWER
from usbmux.testing.conformance.case import Case, CaseResult, Verdict
from usbmux.testing.conformance.catalogue import CASES
from usbmux.testing.conformance.subject import Subject


def run(subject: Subject, cases: Iterable[Case] = CASES) -> Iterator[CaseResult]:
    """Yield the result of each case as soon as it is there; never raises for what the server does."""
    for case in cases:
        yield run_case(subject, case)


def run_case(subject: Subject, case: Case) -> CaseResult:
    """Apply one case."""
    missing = sorted(need.value for need in case.needs if subject.lacks(need))
    if missing:
        return CaseResult(case, Verdict.SKIPPED, f"needs {', '.join(missing)}")
    try:
        came = case.observe(subject)
    except RemoteProtocolError as error:
        return CaseResult(case, Verdict.DEVIATES, str(error))
    except (DaemonUnavailableError, RequestTimeoutError) as error:
        return CaseResult(case, Verdict.NO_ANSWER, str(error))
    if not _is_there(subject):
        return CaseResult(case, Verdict.DEVIATES, f"{came}, and the server is gone")
    if came in case.expected:
        return CaseResult(case, Verdict.CONFORMS, came)
    return CaseResult(case, Verdict.NO_ANSWER if came.endswith(NO_ANSWER) else Verdict.DEVIATES, came)


def _is_there(subject: Subject) -> bool:
    """Whether it still accepts: a server that fell over also closes its connections."""
    try:
        with subject.connect():
            return True
    except (DaemonUnavailableError, RequestTimeoutError):
        return False
