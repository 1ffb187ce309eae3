"""One direction between two joined sockets."""

import socket
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Final

from usbmux.relay.pipe import Pipe, PipePool


class FlowState(Enum):
    """Where one direction stands."""

    READING = "reading"
    """The source is watched, nothing waits."""
    WRITING = "writing"
    """A chunk waits for the sink, the source is left alone."""
    DISCARDING = "discarding"
    """The sink takes no more; the source is read and its bytes are thrown away."""
    FINISHED = "finished"
    """The source ended; if the sink could still take bytes it was told."""

    __hash__ = object.__hash__  # as good, and without a call


_EDGES = {
    FlowState.READING: {FlowState.WRITING, FlowState.DISCARDING, FlowState.FINISHED},
    FlowState.WRITING: {FlowState.READING, FlowState.DISCARDING},
    FlowState.DISCARDING: {FlowState.FINISHED},
    FlowState.FINISHED: set(),
}
_SOURCE_WATCHED = {FlowState.READING, FlowState.DISCARDING}
_UNIX: Final = getattr(socket, "AF_UNIX", None)
_NOTHING: Final = memoryview(b"")


class Flow:
    """Carries bytes in callbacks of the event loop until its source ends.

    A few bytes are read and written; many go through a pipe of the kernel, which does not copy them. What comes from a
    Unix socket is always copied, which takes half as long there (`python -m bench --row forwarders`).

    Args:
        source: Non-blocking.
        sink: Non-blocking.
        scratch: Where bytes pass through during one callback; shared by flows. Its length bounds what waits.
        pipes: Of that size; shared by flows.
        ended: Called when it stops to carry bytes and when its source ended.
    """

    def __init__(
        self,
        source: socket.socket,
        sink: socket.socket,
        scratch: memoryview,
        pipes: PipePool,
        ended: Callable[["Flow"], None],
    ) -> None:
        self._source: Final = source
        self._sink: Final = sink
        self._scratch: Final = scratch
        self._pipes: Final = pipes
        self._has_pipes: Final = source.family != _UNIX
        self._ended: Final = ended
        self._waiting = _NOTHING
        self._pipe: Pipe | None = None
        """Holds what waits, in the place of `_waiting`."""
        self._is_bulk = False
        self._state = FlowState.READING
        self.source_failed = False
        self.byte_count = 0
        """What the sink has taken."""
        self.watch_source: Callable[[bool], None] = _unset
        """Whether `source_ready` is called; set by the owner of both sockets, who then calls `start`."""
        self.watch_sink: Callable[[bool], None] = _unset
        """Likewise for `sink_ready`."""

    def start(self) -> None:
        """Begin to read."""
        self.watch_source(True)

    @property
    def is_carrying(self) -> bool:
        """Whether bytes of the source still reach the sink."""
        return self._state is FlowState.READING or self._state is FlowState.WRITING

    @property
    def is_finished(self) -> bool:
        """Whether the source has ended."""
        return self._state is FlowState.FINISHED

    def discard(self) -> None:
        """Carry nothing more; read the source until it ends."""
        if self.is_carrying:
            self._drop()
            self._set_state(FlowState.DISCARDING)

    def stop(self) -> None:
        """Let go of both sockets."""
        self._drop()
        self.watch_source(False)
        self.watch_sink(False)

    def _drop(self) -> None:
        self._waiting = _NOTHING
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            self._pipes.give_back(pipe)

    def _set_state(self, state: FlowState) -> None:
        if state not in _EDGES[self._state]:
            raise AssertionError(f"no edge from {self._state} to {state}")
        if state in _SOURCE_WATCHED and self._state not in _SOURCE_WATCHED:
            self.watch_source(True)
        elif state not in _SOURCE_WATCHED and self._state in _SOURCE_WATCHED:
            self.watch_source(False)
        if state is FlowState.WRITING:
            self.watch_sink(True)
        elif self._state is FlowState.WRITING:
            self.watch_sink(False)
        self._state = state

    def source_ready(self) -> None:
        """There is input, or nothing will come any more."""
        pipe = self._pipes.take() if self._is_bulk and self._has_pipes and self._state is FlowState.READING else None
        try:
            count = self._source.recv_into(self._scratch) if pipe is None else pipe.fill(self._source)
        except (BlockingIOError, InterruptedError):
            self._is_bulk = False
        except OSError:
            self.source_failed = True
            self._finish()
        else:
            self._is_bulk = 2 * count >= len(self._scratch)
            self._received(count, pipe)
        if pipe is not None and pipe is not self._pipe:
            self._pipes.give_back(pipe)

    def _received(self, count: int, pipe: Pipe | None) -> None:
        if count == 0:
            self._finish()
        elif pipe is not None:
            self._drain(pipe)
        elif self._state is FlowState.READING:
            self._deliver(self._scratch[:count])

    def sink_ready(self) -> None:
        """There is room, or nothing can be sent any more."""
        if self._pipe is not None:
            self._drain(self._pipe)
        else:
            self._deliver(self._waiting)

    def _deliver(self, chunk: memoryview) -> None:
        try:
            sent = self._sink.send(chunk)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._sink_failed()
            return
        self.byte_count += sent
        rest = chunk[sent:]
        if not rest:
            self._waiting = _NOTHING
            if self._state is FlowState.WRITING:
                self._set_state(FlowState.READING)
        elif self._state is FlowState.WRITING:
            self._waiting = rest
        else:
            self._waiting = memoryview(bytes(rest))  # the scratch buffer is everybody's
            self._set_state(FlowState.WRITING)

    def _drain(self, pipe: Pipe) -> None:
        try:
            self.byte_count += pipe.drain(self._sink)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._sink_failed()
            return
        if pipe.waiting and self._state is FlowState.READING:
            self._pipe = pipe
            self._set_state(FlowState.WRITING)
        elif not pipe.waiting and self._state is FlowState.WRITING:
            self._drop()
            self._set_state(FlowState.READING)

    def _sink_failed(self) -> None:
        self.discard()
        self._ended(self)

    def _finish(self) -> None:
        if self.is_carrying:
            with suppress(OSError):  # the sink may be gone already, and whoever reads it finds out
                self._sink.shutdown(socket.SHUT_WR)
        self._set_state(FlowState.FINISHED)
        self._ended(self)


def _unset(_wanted: bool) -> None:
    raise AssertionError("nobody watches yet")
