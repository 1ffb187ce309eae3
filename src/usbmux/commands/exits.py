"""Exit codes, the same for every command, and the one place where errors become words on stderr."""

import codecs
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Final, TextIO

from usbmux.errors import (
    AddressError,
    AmbiguousDeviceError,
    DaemonUnavailableError,
    DeviceNotFoundError,
    LockdownError,
    NotPairedError,
    PairRecordNotFoundError,
    PortRefusedError,
    RequestTimeoutError,
    TrustPendingError,
    UsbmuxError,
)

LONGEST_WAIT_S: Final = 1.0
"""No command waits longer in one call. Python looks for signals between two calls, so a Ctrl-C that comes right before
one that waits is noticed when it is over."""
_ESCAPES: Final = {"strict": "backslashreplace", "surrogateescape": "usbmux.escape"}
"""What takes the place of a stream's handler of characters that it cannot encode."""


class ExitCode(IntEnum):
    """What a command ends with."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NO_DEVICE = 3
    """No such phone, or several fit."""
    NO_DAEMON = 4
    NOT_PAIRED = 5
    REFUSED = 6
    """By the phone."""
    TIMED_OUT = 7
    INTERRUPTED = 130


def exit_code(error: UsbmuxError) -> ExitCode:
    """The code that stands for the error."""
    match error:
        case DeviceNotFoundError() | AmbiguousDeviceError():
            return ExitCode.NO_DEVICE
        case DaemonUnavailableError():
            return ExitCode.NO_DAEMON
        case PairRecordNotFoundError() | NotPairedError() | TrustPendingError():
            return ExitCode.NOT_PAIRED
        case PortRefusedError() | LockdownError():
            return ExitCode.REFUSED
        case RequestTimeoutError():
            return ExitCode.TIMED_OUT
        case AddressError():
            return ExitCode.USAGE
        case _:
            return ExitCode.FAILURE


def run_program(program: str, main: Callable[[], int]) -> int:
    """Run `main` as a process of its own: `run_guarded`, and stdout takes every character, escaped if need be.

    What stdout has not taken by the end is an error of the program; what stderr has not is dropped. The interpreter
    would end with an exit code of its own for either.
    """

    def work() -> int:
        try:
            return main()
        finally:  # help and version, too, which end by SystemExit
            if sys.stdout is not None:
                sys.stdout.flush()

    codecs.register_error("usbmux.escape", _escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in _ESCAPES:
            stream.reconfigure(errors=_ESCAPES[stream.errors])
    try:
        return run_guarded(program, work)
    finally:
        _drop_unwritten(sys.stderr)


def run_guarded(program: str, work: Callable[[], int]) -> int:
    """Return what `work` returns; turn its errors into a line on stderr and a code.

    A reader of stdout that left has all it wanted, so that ends the command quietly and well.
    """
    try:
        return work()
    except UsbmuxError as error:
        complain(program, str(error))
        if isinstance(error, AmbiguousDeviceError):
            complain(
                program, "choose one with -u UDID, a beginning of it or its port, or with the variable USBMUX_UDID"
            )
        if isinstance(error, PairRecordNotFoundError):
            complain(program, "pair with the phone: usbmux pair")
        return exit_code(error)
    except BrokenPipeError:
        _abandon(sys.stdout)
        return ExitCode.OK
    except OSError as error:
        text = error.strerror or str(error)
        complain(program, text if error.filename is None else f"{error.filename}: {text}")
        _drop_unwritten(sys.stdout)
        return ExitCode.FAILURE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def complain(program: str, text: str) -> None:
    """Say something to the person at the terminal."""
    say(f"{program}: {text}")


def say(line: str) -> None:
    """Write a line to stderr. It is lost if that takes none, as on a full disk; nothing else is."""
    if sys.stderr is None:  # it was closed from the start
        return
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def tell(line: str) -> None:
    """Write a line to stdout. If that takes none any more, this line and all that come later are lost; nothing else is.

    For programs whose work goes on when nobody reads any longer what they tell of it.
    """
    try:
        print(line, flush=True)
    except OSError:
        _abandon(sys.stdout)


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Of bytes that were no characters, as in names of files, the bytes; of other characters an escape."""
    if isinstance(error, UnicodeEncodeError):
        error.end = error.start + 1  # there may be both kinds in one run
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeEncodeError:
        return codecs.backslashreplace_errors(error)


def _drop_unwritten(stream: TextIO | None) -> None:
    if stream is None:  # it was closed from the start
        return
    try:
        stream.flush()
    except OSError:
        _abandon(stream)


def _abandon(stream: TextIO | None) -> None:
    if stream is None:
        return
    # The interpreter flushes it once more when it exits, and would complain.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
