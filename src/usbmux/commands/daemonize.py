"""Going into the background, with the exit status of the command telling whether the daemon came up."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from usbmux.commands.exits import ExitCode

_UMASK: Final = 0o077


def run_in_background(work: Callable[[Callable[[], None]], int]) -> int:
    """Run `work` as a daemon, in a session of its own, without a terminal, in / once it is ready.

    Returns in two processes. In the calling process it returns 0 once the daemon is ready, or the daemon's status if
    that has ended before. What the daemon says on stderr until it is ready is seen by the caller. In the daemon it
    returns the status of `work`.

    Args:
        work: Runs in the daemon. Gets a function to call when it is ready, and returns an exit status.
    """
    ours, theirs = os.pipe()
    _flush()
    child = os.fork()
    if child:
        os.close(theirs)
        return _await_status(ours, child)
    os.close(ours)
    os.setsid()
    if os.fork():  # who is no session leader cannot get a terminal by opening one
        os._exit(ExitCode.OK)
    return _be_daemon(work, theirs)


def _await_status(pipe: int, child: int) -> int:
    with open(pipe, "rb") as file:
        said = file.read()
    os.waitpid(child, 0)
    return int(said) if said.isdigit() else ExitCode.FAILURE  # nothing: it was killed


def _be_daemon(work: Callable[[Callable[[], None]], int], pipe: int) -> int:
    os.umask(_UMASK)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    is_told = False

    def tell(status: int) -> None:
        nonlocal is_told
        if not is_told:
            is_told = True
            os.write(pipe, str(int(status)).encode())
            os.close(pipe)

    def ready() -> None:
        _flush()
        os.dup2(null, 2)
        os.chdir("/")  # not before: paths are the caller's
        tell(ExitCode.OK)

    status: int = ExitCode.FAILURE
    try:
        status = work(ready)
    finally:
        tell(status)
    return status


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # it was closed from the start
            continue
        with suppress(OSError):  # what a full disk does not take is lost
            stream.flush()
