"""Where a capture is written to."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from usbmux.capture.output import STANDARD_OUTPUT, open_private, take_back
from usbmux.errors import UsbmuxError


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
        descriptor = open_private(path, must_be_new=must_be_new)
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes, path: str) -> None:
    """Write all of it, whole records, or nothing of it where that is a file.

    Raises:
        BrokenPipeError: Nobody reads any more.
        UsbmuxError: It cannot be written; the text names the path.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            take_back(descriptor, len(data) - len(rest))
            raise _cannot_write(path, error) from error


def _cannot_write(path: str, error: OSError) -> UsbmuxError:
    where = "the standard output" if path == STANDARD_OUTPUT else path
    return UsbmuxError(f"cannot write {where}: {error.strerror}")
