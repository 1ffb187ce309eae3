"""``usbmux conform``: what a server answers to everything that a client might send, beside what clients expect."""

import json
from collections import Counter
from fnmatch import fnmatchcase

from usbmux.commands.exits import ExitCode, complain
from usbmux.control.address import parse_address
from usbmux.errors import DaemonUnavailableError
from usbmux.testing.conformance import CASES, CaseResult, Subject, Verdict, run
from usbmux.values import frozen

_PROGRAM = "usbmux"
_NO_SERVER = 3
"""As for a phone that is not there: there is nothing to ask."""
_NAME_WIDTH = max(len(case.name) for case in CASES)
_VERDICT_WIDTH = max(len(verdict.value) for verdict in Verdict)


@frozen
class ConformOptions:
    """What the command line said."""

    address: str
    udid: str | None
    echo_port: int | None
    pattern: str
    """Of the names of the cases to run, as a shell has it."""
    may_write: bool
    timeout_s: float
    as_json: bool


def conform(options: ConformOptions) -> int:
    """Run the cases and print a line for each; 0 when all that ran conform, 3 when there is no server."""
    cases = [case for case in CASES if fnmatchcase(case.name, options.pattern)]
    if not cases:
        complain(_PROGRAM, f"no case is named like {options.pattern!r}")
        return ExitCode.USAGE
    try:
        subject = Subject.find(
            parse_address(options.address),
            udid=options.udid,
            echo_port=options.echo_port,
            may_write=options.may_write,
            timeout_s=options.timeout_s,
        )
    except DaemonUnavailableError as error:
        complain(_PROGRAM, str(error))
        return _NO_SERVER
    counts: Counter[Verdict] = Counter()
    for result in run(subject, cases):
        counts[result.verdict] += 1
        print(_json(result) if options.as_json else _line(result), flush=True)
    if not options.as_json:
        print(", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict), flush=True)
    return ExitCode.FAILURE if counts[Verdict.DEVIATES] or counts[Verdict.NO_ANSWER] else ExitCode.OK


def _line(result: CaseResult) -> str:
    verdict = result.verdict
    is_found_out = verdict in (Verdict.DEVIATES, Verdict.NO_ANSWER)
    expected = f"; expected {' or '.join(result.case.expected)}" if is_found_out else ""
    return f"{verdict.value:{_VERDICT_WIDTH}}  {result.case.name:{_NAME_WIDTH}}  {result.came}{expected}"


def _json(result: CaseResult) -> str:
    case = result.case
    document = {
        "case": case.name,
        "verdict": result.verdict.value,
        "came": result.came,
        "expected": case.expected,
        "stimulus": case.stimulus,
        "source": case.source,
    }
    return json.dumps(document)
