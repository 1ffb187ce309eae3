"""Kernel pipes through which bytes go from one socket to another without being copied here and back."""

import os
import socket
from contextlib import suppress
from typing import Final


class Pipe:
    """One pipe. Its calls do not wait: they raise BlockingIOError.

    Args:
        size: The most that it holds, in bytes.

    Raises:
        OSError: There is no descriptor left for it.
    """

    def __init__(self, size: int) -> None:
        import fcntl  # here, because other systems have none; nor have they pipes that are of use here

        self._size: Final = size
        self._readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.waiting = 0
        """How many bytes it holds."""
        with suppress(OSError):  # the system may grant no more; then it holds what it always does
            fcntl.fcntl(self._writable, fcntl.F_SETPIPE_SZ, size)

    def fill(self, source: socket.socket) -> int:
        """Take in what there is; the pipe must be empty.

        Returns:
            How much it was; 0 at the end of the source.

        Raises:
            BlockingIOError: There is nothing.
            OSError: The source is broken.
        """
        self.waiting = os.splice(source.fileno(), self._writable, self._size, flags=os.SPLICE_F_NONBLOCK)
        return self.waiting

    def drain(self, sink: socket.socket) -> int:
        """Give out what the sink takes.

        Returns:
            How much it was.

        Raises:
            BlockingIOError: The sink is full.
            OSError: The sink is broken.
        """
        count = os.splice(self._readable, sink.fileno(), self.waiting, flags=os.SPLICE_F_NONBLOCK)
        self.waiting -= count
        return count

    def close(self) -> None:
        """Drop what it holds. Idempotent."""
        if self._readable != -1:
            os.close(self._readable)
            os.close(self._writable)
            self._readable = self._writable = -1


class PipePool:
    """Empty pipes for who has bytes to move; there are never more than hold bytes at the same time, and one.

    Args:
        size: Of each pipe, in bytes.
    """

    def __init__(self, size: int) -> None:
        self._size: Final = size
        self._spare: list[Pipe] = []

    def take(self) -> Pipe | None:
        """An empty pipe; None where the system has none."""
        if self._spare:
            return self._spare.pop()
        if not hasattr(os, "splice"):
            return None
        try:
            return Pipe(self._size)
        except OSError:
            return None

    def give_back(self, pipe: Pipe) -> None:
        """Keep a pipe for the next; one that holds bytes is closed, and with one spare pipe also any other."""
        if pipe.waiting or self._spare:
            pipe.close()
        else:
            self._spare.append(pipe)

    def close(self) -> None:
        """Close the spare ones."""
        while self._spare:
            self._spare.pop().close()
