"""What installing and removing a service consists of: said in words, and done."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol, assert_never

from usbmux.commands.exits import complain
from usbmux.commands.service_layout import Step
from usbmux.values import frozen

_FILE_MODE: Final = 0o644
_DIRECTORY_MODE: Final = 0o755
_STEP_TIMEOUT_S: Final = 120.0


@frozen
class MakeDirectory:
    """Its parent is there by then."""

    path: Path


@frozen
class WriteFile:
    """Make or replace a file."""

    path: Path
    data: bytes


@frozen
class RemoveFile:
    """Remove a file."""

    path: Path


@frozen
class RemoveDirectory:
    """Remove a directory unless something is in it."""

    path: Path


@frozen
class KeepFile:
    """Leave a file as it is."""

    path: Path
    reason: str


@frozen
class RunStep:
    """Run a program."""

    step: Step


@frozen
class SkipStep:
    """Do not run a program."""

    step: Step
    reason: str


Action = MakeDirectory | WriteFile | RemoveFile | RemoveDirectory | KeepFile | RunStep | SkipStep


def in_words(action: Action) -> str:
    """A line that tells what the action does."""
    match action:
        case MakeDirectory(path):
            return f"make {path}"
        case WriteFile(path):
            return f"write {path}"
        case RemoveFile(path):
            return f"remove {path}"
        case RemoveDirectory(path):
            return f"remove {path}, if it is empty"
        case KeepFile(path, reason):
            return f"keep {path}: {reason}"
        case RunStep(step):
            return f"run {' '.join(step.command)}"
        case SkipStep(step, reason):
            return f"leave out {' '.join(step.command)}: {reason}"
        case _:
            assert_never(action)


class ServiceReport(Protocol):
    """Is told of one action after the other. None at all means that nothing was installed."""

    def began(self, action: Action) -> None:
        """This is being done, or would be in a dry run."""

    def ended(self, *, is_done: bool) -> None:
        """The action that began last is over; false: it is a program, which failed."""

    def close(self, left: str | None) -> None:
        """No more actions follow.

        Args:
            left: What stays of a service that was removed; None if none was.
        """


def carry_out(program: str, actions: Iterable[Action], report: ServiceReport) -> bool:
    """Do it all in this order.

    Returns:
        False if a program failed that should not have; what followed it has been done nevertheless.

    Raises:
        OSError: A file could not be written or removed; nothing that followed has been done.
    """
    is_well = True
    for action in actions:
        report.began(action)
        is_done = _do(program, action)
        report.ended(is_done=is_done)
        is_well &= is_done
    return is_well


def _do(program: str, action: Action) -> bool:
    """False if it is a program that failed and should not have."""
    match action:
        case MakeDirectory(path):
            path.mkdir()
            path.chmod(_DIRECTORY_MODE)
        case WriteFile(path, data):
            _write(path, data)
        case RemoveFile(path):
            path.unlink()
        case RemoveDirectory(path):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        case RunStep(step):
            return _run(program, step)
        case KeepFile() | SkipStep():
            pass
        case _:
            assert_never(action)
    return True


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: a service manager may look at any time."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(data)
        temporary.chmod(_FILE_MODE)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _run(program: str, step: Step) -> bool:
    try:
        outcome = subprocess.run(
            step.command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_STEP_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        complain(program, f"{step.command[0]}: {error}")
        return step.may_fail
    if outcome.returncode == 0 or step.may_fail:
        return True
    complain(program, f"{' '.join(step.command)}: {outcome.stderr.strip() or f'exit status {outcome.returncode}'}")
    return False
