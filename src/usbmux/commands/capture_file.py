"""Where a capture is written to."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from usbmux.capture.output import STANDARD_OUTPUT
from usbmux.errors import UsbmuxError

_MODE: Final = 0o600


@contextmanager
def opened(path: str, *, must_be_new: bool = False) -> Iterator[int]:
    """A descriptor of the file, made anew and for its owner alone, or of the standard output.

    Args:
        path: Of the file, or ``-``.
        must_be_new: Whether a file that is there is an error, and stays.

    Raises:
        UsbmuxError: It cannot be written.
    """
    if path == STANDARD_OUTPUT:
        if sys.stdout is None:
            raise UsbmuxError("cannot write the standard output: it is closed")
        yield sys.stdout.fileno()
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_EXCL if must_be_new else os.O_TRUNC), _MODE)
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes, path: str) -> None:
    """Write everything; `UsbmuxError` names the path if that fails, but for `BrokenPipeError`."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _cannot_write(path, error) from error


def _cannot_write(path: str, error: OSError) -> UsbmuxError:
    where = "the standard output" if path == STANDARD_OUTPUT else path
    return UsbmuxError(f"cannot write {where}: {error.strerror}")
