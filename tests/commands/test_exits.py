from __future__ import annotations

import io
import sys

import pytest

from usbmux.commands.exits import exit_code, run_guarded, run_program
from usbmux.errors import (
    AddressError,
    AmbiguousDeviceError,
    DaemonUnavailableError,
    DeviceNotFoundError,
    LockdownError,
    NotPairedError,
    PairRecordNotFoundError,
    PhoneLockedError,
    PortRefusedError,
    RemoteProtocolError,
    RequestError,
    RequestTimeoutError,
    TrustDeniedError,
    TrustPendingError,
    UsbmuxError,
)

_CODES: list[tuple[UsbmuxError, int]] = [
    (RemoteProtocolError("x"), 1),
    (RequestError(1, "x"), 1),
    (AddressError("x"), 2),
    (DeviceNotFoundError(2, "x"), 3),
    (AmbiguousDeviceError(2, "x"), 3),
    (DaemonUnavailableError("x"), 4),
    (PairRecordNotFoundError(2, "x"), 5),
    (NotPairedError("x"), 5),
    (TrustPendingError("x"), 5),
    (TrustDeniedError("x"), 6),
    (PhoneLockedError("x"), 6),
    (LockdownError("x", "MissingValue"), 6),
    (PortRefusedError(3, "x"), 6),
    (RequestTimeoutError("x"), 7),
]


@pytest.mark.parametrize(("error", "code"), _CODES, ids=lambda value: type(value).__name__)
def test_each_error_has_its_documented_code(error: UsbmuxError, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize(("error", "code"), [*_CODES, (OSError("x"), 1)], ids=lambda value: type(value).__name__)
def test_error_becomes_words_on_stderr_and_a_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        raise error

    assert run_guarded("prog", work) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("prog: x\n")
    assert captured.out == ""


def test_several_phones_fit_help_names_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise AmbiguousDeviceError(2, "several phones")

    run_guarded("prog", work)
    assert "-u UDID" in capsys.readouterr().err


def test_no_pair_record_help_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise PairRecordNotFoundError(2, "none")

    run_guarded("prog", work)
    assert capsys.readouterr().err == "prog: none\nprog: pair with the phone: usbmux pair\n"


def test_interrupt_becomes_130_without_words(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise KeyboardInterrupt

    assert run_guarded("prog", work) == 130
    assert capsys.readouterr().err == ""


def test_bug_is_not_hidden() -> None:
    def work() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_guarded("prog", work)


@pytest.mark.parametrize(
    ("encoding", "errors", "expected"),
    [
        ("ascii", "strict", rb"Ada\u2019s \U0001f4f1 \udcff"),
        ("cp1252", "strict", b"Ada\x92s \\U0001f4f1 \\udcff"),
        ("utf-8", "strict", "Ada\u2019s \U0001f4f1 ".encode() + rb"\udcff"),
        ("ascii", "surrogateescape", b"Ada\\u2019s \\U0001f4f1 \xff"),
        ("utf-8", "surrogateescape", "Ada\u2019s \U0001f4f1 ".encode() + b"\xff"),
        ("ascii", "replace", b"Ada?s ? ?"),
    ],
)
def test_stdout_has_no_code_for_a_character_it_is_escaped(
    encoding: str, errors: str, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed("Ada\u2019s \U0001f4f1 \udcff", encoding, errors, monkeypatch) == expected


def test_neighbours_of_which_one_was_a_byte_of_a_name_it_stays_that_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed("\udcff\u2019\udcfe", "ascii", "surrogateescape", monkeypatch) == b"\xff\\u2019\xfe"


def printed(text: str, encoding: str, errors: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What a program writes that prints the text."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding, errors))

    def main() -> int:
        print(text, end="", flush=True)
        return 5

    assert run_program("prog", main) == 5
    return written.getvalue()
