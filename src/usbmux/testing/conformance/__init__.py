"""Questions to any usbmux server, good and bad, and the answers that clients can live with; see docs/conformance.md."""

from usbmux.testing.conformance.case import Case, CaseResult, Verdict
from usbmux.testing.conformance.catalogue import CASES
from usbmux.testing.conformance.runner import run, run_case
from usbmux.testing.conformance.subject import Need, Subject

__all__ = ["CASES", "Case", "CaseResult", "Need", "Subject", "Verdict", "run", "run_case"]
