"""An event loop that calls those whom descriptors concern at once.

asyncio makes an entry of a list, of a queue and a change of context of every event, which takes longer than most of
what we do with one. Here they are for everybody else; who watches a descriptor directly is called from inside the
selector.
"""

import asyncio
import select
import selectors
from collections.abc import Callable, Mapping
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike


class DirectSelector(selectors.BaseSelector):
    """A selector some of whose descriptors have callbacks.

    Args:
        failed: Called with what a callback raises.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed: Final = failed
        self._epoll: Final = select.epoll()
        self._callbacks: Final[dict[int, Callable[[int], object]]] = {}
        self._gone: Final[set[int]] = set()
        """Descriptors given up since the last look, whose numbers may have been given away again."""
        self._others: Final = selectors.EpollSelector()
        self._others_descriptor: Final = self._others.fileno()
        self._epoll.register(self._others_descriptor, select.EPOLLIN)
        self.pause: Callable[[], object] = _no_pause
        """Called before each look that would wait; may sleep, so that what comes meanwhile is seen together."""

    def watch(self, descriptor: int, events: int, callback: Callable[[int], object]) -> None:
        """Call back with the events that come, from inside `select`, until it is given up or watched by another.

        Args:
            descriptor: Of which only this is interested.
            events: As for epoll.
            callback: May do anything; what it raises is reported.
        """
        if descriptor in self._callbacks:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._callbacks[descriptor] = callback

    def change(self, descriptor: int, events: int) -> None:
        """Watch for other events."""
        self._epoll.modify(descriptor, events)

    def give_up(self, descriptor: int) -> None:
        """Call back no more. Before the descriptor is closed; idempotent."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)
            self._gone.add(descriptor)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Call back those who watch directly, then return the events of all others."""
        self._gone.clear()
        if timeout is None:
            timeout = -1
        elif timeout > 0:
            timeout = ceil(timeout * 1e3) * 1e-3  # epoll counts milliseconds, and too early is a turn in vain
        if timeout:
            self.pause()
        has_others = False
        callbacks, gone = self._callbacks, self._gone
        for descriptor, events in self._epoll.poll(timeout):
            callback = callbacks.get(descriptor)
            if callback is None:
                has_others = has_others or descriptor == self._others_descriptor
            elif not gone or descriptor not in gone:
                try:
                    callback(events)
                except Exception as error:  # any: what comes behind it is somebody else's
                    self._failed(error)
        return self._others.select(0) if has_others else []

    def fileno(self) -> int:
        """Becomes readable when `select` has something to do."""
        return self._epoll.fileno()

    def close(self) -> None:
        """Watch nothing any more. Idempotent."""
        self._callbacks.clear()
        self._others.close()
        self._epoll.close()

    # What asyncio watches.

    def register(self, fileobj: "FileDescriptorLike", events: int, data: object = None) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        return self._others.register(fileobj, events, data)

    def unregister(self, fileobj: "FileDescriptorLike") -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        return self._others.unregister(fileobj)

    def modify(self, fileobj: "FileDescriptorLike", events: int, data: object = None) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        return self._others.modify(fileobj, events, data)

    def get_key(self, fileobj: "FileDescriptorLike") -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        return self._others.get_key(fileobj)

    def get_map(self) -> "Mapping[FileDescriptorLike, selectors.SelectorKey]":
        """See `selectors.BaseSelector`."""
        return self._others.get_map()


class DirectLoop(asyncio.SelectorEventLoop):
    """An event loop with a `DirectSelector`."""

    def __init__(self) -> None:
        self.direct: Final = DirectSelector(partial(_report, self))
        super().__init__(self.direct)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The loop for a program of ours."""
    return DirectLoop() if hasattr(select, "epoll") else asyncio.SelectorEventLoop()


def direct_selector(loop: asyncio.AbstractEventLoop) -> DirectSelector:
    """The loop's own; or a new one that hangs on a loop which has none. Only where there is epoll."""
    if isinstance(loop, DirectLoop):
        return loop.direct
    selector = DirectSelector(partial(_report, loop))
    loop.add_reader(selector.fileno(), selector.select, 0)
    return selector


def let_go(loop: asyncio.AbstractEventLoop, selector: DirectSelector) -> None:
    """Close what `direct_selector` has made. Nothing, if it was the loop's own."""
    if not isinstance(loop, DirectLoop):
        loop.remove_reader(selector.fileno())
        selector.close()


def _no_pause() -> None: ...


def _report(loop: asyncio.AbstractEventLoop, error: Exception) -> None:
    loop.call_exception_handler({"message": "Exception in a callback of a descriptor", "exception": error})
