"""One to many: what is posted goes into the mailbox of everybody who has one open."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Generic, TypeVar

from usbmux.values import frozen

T = TypeVar("T")
CAPACITY: Final = 1000
"""How many items a mailbox holds, unless somebody says otherwise."""


@frozen
class Delivery(Generic[T]):
    """Everything that had come in when a mailbox was emptied."""

    lost: int
    """How many items were dropped, all of them older than `items`."""
    items: tuple[T, ...]


class Mailbox(Generic[T]):
    """Holds what one reader has not taken yet, up to a number of items; then the oldest are lost, and counted.

    It belongs to the loop that runs when it is made; posting is for any thread. Hubs make it.
    """

    def __init__(self, capacity: int) -> None:
        self._items: deque[T] = deque(maxlen=capacity)
        self._lost = 0
        self._loop = asyncio.get_running_loop()
        self._is_filled = asyncio.Event()
        self._lock = threading.Lock()

    def post(self, item: T) -> None:
        """Put an item in; whoever posts never waits."""
        with self._lock:
            was_empty = not self._items
            self._lost += len(self._items) == self._items.maxlen
            self._items.append(item)
        if was_empty:
            with suppress(RuntimeError):  # the loop is closed, and reads no more
                self._loop.call_soon_threadsafe(self._is_filled.set)

    async def receive(self) -> Delivery[T]:
        """Wait until there is something, and take all of it."""
        while True:
            await self._is_filled.wait()
            with self._lock:
                self._is_filled.clear()
                delivery = Delivery(self._lost, tuple(self._items))
                self._lost = 0
                self._items.clear()
            if delivery.items:
                return delivery


class Hub(Generic[T]):
    """Where items are posted, from any thread, for the mailboxes that are open then; nothing is kept for later ones.

    Args:
        capacity: How many items a mailbox holds.
        welcome: Makes the first item of each mailbox, if it wants it; None for none.
    """

    def __init__(self, capacity: int = CAPACITY, welcome: Callable[[], T] | None = None) -> None:
        self._capacity = capacity
        self._welcome = welcome
        self._readers: dict[Mailbox[T], Callable[[T], bool]] = {}
        self._changed = threading.Condition()

    @property
    def reader_count(self) -> int:
        """How many mailboxes are open."""
        return len(self._readers)

    def post(self, item: T) -> None:
        """Give an item to all readers that want it."""
        with self._changed:
            readers = list(self._readers.items())
        for mailbox, wants in readers:
            if wants(item):
                mailbox.post(item)

    @contextmanager
    def open_mailbox(self, wants: Callable[[T], bool] = lambda _: True) -> Iterator[Mailbox[T]]:
        """A mailbox for the running loop, as long as the context is open.

        Args:
            wants: Which items go in; it is asked by whoever posts, in their thread.
        """
        mailbox = Mailbox[T](self._capacity)
        if self._welcome is not None and wants(item := self._welcome()):
            mailbox.post(item)
        with self._changed:
            self._readers[mailbox] = wants
            self._changed.notify_all()
        try:
            yield mailbox
        finally:
            with self._changed:
                del self._readers[mailbox]
                self._changed.notify_all()

    def wait_readers(self, count: int = 1, timeout_s: float = 30) -> None:
        """Block this thread, which must not be the loop's, until at least `count` mailboxes are open.

        Raises:
            TimeoutError: They were not in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._readers) >= count, timeout_s):
                raise TimeoutError(f"{len(self._readers)} of {count} readers after {timeout_s} s")
