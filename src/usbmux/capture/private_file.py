"""Files that hold what crossed: for their owner alone, and readable up to where the disk was full."""

import os
import stat
from contextlib import suppress
from typing import Final

_MODE: Final = 0o600


def open_private(path: str, *, must_be_new: bool = False) -> int:
    """A descriptor to write the file, which is empty and for its owner alone, also if it was there and was not.

    Args:
        path: Of the file; or of a pipe or device, whose mode stays.
        must_be_new: Whether a file that is there is an error, and stays.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_EXCL if must_be_new else os.O_TRUNC), _MODE)
    facts = os.fstat(descriptor)
    if stat.S_ISREG(facts.st_mode) and facts.st_mode & 0o077 and hasattr(os, "fchmod"):  # not on Windows
        with suppress(OSError):  # a file system without modes
            os.fchmod(descriptor, _MODE)
    return descriptor


def take_back(descriptor: int, count: int) -> None:
    """Cut off the bytes that were written last, the beginning of a record: readers would stumble over it."""
    if count and stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.ftruncate(descriptor, os.lseek(descriptor, -count, os.SEEK_CUR))
