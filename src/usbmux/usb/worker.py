"""Runs slow calls off the event loop, in a thread that nobody else waits for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from usbmux.errors import UsbError
from usbmux.threads import call_in_thread

_ResultT = TypeVar("_ResultT")


class Worker:
    """A thread for the slow calls of one device or bus, so that one that hangs holds up no other.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name: Final = name
        self._thread: ThreadPoolExecutor | None = None

    async def call(self, function: Callable[..., _ResultT], *arguments: object) -> _ResultT:
        """Call something slow, after whatever was asked for before; even when cancelled, return only after its end.

        Raises:
            UsbError: There is no thread for it.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self._name)
        try:
            call = call_in_thread(self._thread, function, *arguments)
        except OSError as error:
            raise UsbError(f"no thread for {self._name}: {error.strerror}") from error
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            await wait_done(call)
            if not call.cancelled():
                # Looked at, so that nobody complains about an error that nobody waits for.
                call.exception()
            raise

    def stop(self) -> None:
        """Let the thread end, once it has done what it was asked for. The next call starts another."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None


async def wait_done(future: asyncio.Future[_ResultT]) -> None:
    """Wait for the end of what cannot be cut short. For who was cancelled, and will say so: more of that is ignored."""
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future])
