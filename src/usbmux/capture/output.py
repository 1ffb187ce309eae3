"""Where traces are written. An output never fails its writer: it says once that it does not go on."""

import logging
import os
import stat
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import Final, Protocol

from usbmux.errors import UsbmuxError

logger = logging.getLogger("usbmux.capture")

STANDARD_OUTPUT: Final = "-"
MAX_WAITING_BYTES: Final = 64 << 20
"""What a reader may leave unread before records are dropped."""
_LAST_WRITES_S: Final = 2.0
_MODE: Final = 0o600


class Output(Protocol):
    """Takes records, each whole or not at all."""

    def write(self, record: bytes, *, is_vital: bool = False) -> bool:
        """Write a record, at once where that cannot take long; one that is vital is not dropped.

        Returns:
            Whether it was taken.
        """

    def close(self) -> None:
        """Write what waits, unless nobody reads it, and let go of the file."""


def open_output(path: str) -> Output:
    """The file of that name, made anew and for its owner alone; or the standard output for ``-``.

    Raises:
        UsbmuxError: It cannot be opened.
    """
    name = "standard output" if path == STANDARD_OUTPUT else path
    if path == STANDARD_OUTPUT and sys.stdout is None:
        raise UsbmuxError(f"cannot write {name}: it is closed")
    try:
        if path == STANDARD_OUTPUT:
            descriptor = os.dup(sys.stdout.fileno())
        else:
            descriptor = open_private(path)
    except OSError as error:
        raise UsbmuxError(f"cannot write {name}: {error.strerror}") from error
    output = FileOutput(descriptor, name)
    return output if stat.S_ISREG(os.fstat(descriptor).st_mode) else QueuedOutput(output)


class FileOutput:
    """A file that is written at once, so that what a killed program has written is there; it owns the descriptor."""

    def __init__(self, descriptor: int, name: str) -> None:
        self.name: Final = name
        self._descriptor = descriptor
        self._has_failed = False

    def write(self, record: bytes, *, is_vital: bool = False) -> bool:
        """See `Output`."""
        if self._has_failed:
            return False
        rest = memoryview(record)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._has_failed = True
            logger.error("%s: %s; nothing more is written to it", self.name, error.strerror)
            take_back(self._descriptor, len(record) - len(rest))
        return not self._has_failed

    def close(self) -> None:
        """See `Output`."""
        self._has_failed = True
        os.close(self._descriptor)


class QueuedOutput:
    """An output whose reader may be slow, as that of a pipe: a thread writes, and what is too much is dropped."""

    def __init__(self, output: FileOutput, *, limit: int = MAX_WAITING_BYTES) -> None:
        self.dropped = 0
        """Number of records."""
        self._output: Final = output
        self._limit: Final = limit
        self._records: Final[deque[bytes]] = deque()
        self._waiting = 0
        self._is_closing = False
        self._changed: Final = threading.Condition()
        self._thread: Final = threading.Thread(target=self._run, name=f"writes {output.name}", daemon=True)
        self._thread.start()

    def write(self, record: bytes, *, is_vital: bool = False) -> bool:
        """See `Output`."""
        with self._changed:
            if self._waiting + len(record) > self._limit and not is_vital:
                if not self.dropped:
                    logger.warning("%s is read too slowly: records are dropped", self._output.name)
                self.dropped += 1
                return False
            self._records.append(record)
            self._waiting += len(record)
            self._changed.notify()
        return True

    def close(self) -> None:
        """See `Output`."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(_LAST_WRITES_S)
        if self.dropped:
            logger.warning("%s: %d records were dropped", self._output.name, self.dropped)
        if not self._thread.is_alive():  # else it still writes, and ends with the process
            self._output.close()

    def _run(self) -> None:
        while (record := self._next_record()) is not None:
            self._output.write(record)

    def _next_record(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._records or self._is_closing)
            if not self._records:
                return None
            record = self._records.popleft()
            self._waiting -= len(record)
            return record


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
