"""Calls beside the event loop, in threads that the system may not give."""

import asyncio
import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

_ResultT = TypeVar("_ResultT")


def call_in_thread(
    pool: ThreadPoolExecutor, function: Callable[..., _ResultT], *arguments: object
) -> asyncio.Future[_ResultT]:
    """Begin a call in a thread of the pool, soon.

    Raises:
        OSError: EAGAIN: there is no thread for it. Then it is not called later, either.
    """
    wanted = [partial(function, *arguments)]
    try:
        return asyncio.get_running_loop().run_in_executor(pool, lambda: wanted.pop()())
    except RuntimeError as error:
        wanted.clear()  # the pool keeps what it has no thread for, until it gets one
        raise OSError(errno.EAGAIN, str(error)) from error
