"""Endpoints of a simulated device: requests of the host meet what the device has for it."""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto

from usbmux.values import frozen


class TransferStatus(Enum):
    """How a request of the host ended."""

    DONE = auto()
    STALLED = auto()
    CANCELLED = auto()
    INVALID = auto()
    """There is no such endpoint in the configuration."""


@frozen
class InRequest:
    """A request of the host for data."""

    tag: int
    """The host's name for it."""
    length: int
    """Most bytes that it takes."""


class Halt:
    """Whether an endpoint is halted, and how often the host must clear that."""

    def __init__(self) -> None:
        self._clears = 0

    def __bool__(self) -> bool:
        return self._clears > 0

    def halt(self, times: int) -> None:
        """Halt until the host has cleared it so many times."""
        self._clears = times

    def clear(self) -> None:
        """The host clears it, once."""
        self._clears = max(self._clears - 1, 0)


class InEndpoint:
    """An endpoint to the host: requests wait until there is data, data waits until it is asked for.

    A transfer of the device that is longer than a request goes on in the next one. It ends with a short packet, or
    with an empty one if its length is a multiple of the packet size; the empty packet ends a request that has room
    left, and else has a request of its own.

    Args:
        max_packet_size: wMaxPacketSize in bytes.
        ended: Hears of each request that ended: tag, status, data.
    """

    def __init__(self, max_packet_size: int, ended: Callable[[int, TransferStatus, bytes], None]) -> None:
        self._max_packet_size = max_packet_size
        self._ended = ended
        self._halt = Halt()
        self._outgoing: deque[tuple[memoryview, bool]] = deque()
        self._waiting: deque[InRequest] = deque()

    @property
    def waiting(self) -> tuple[InRequest, ...]:
        """Requests without an answer yet."""
        return tuple(self._waiting)

    @property
    def is_halted(self) -> bool:
        """Whether every request stalls."""
        return bool(self._halt)

    def send(self, data: bytes) -> None:
        """Queue one transfer; nothing happens if it is empty."""
        if data:
            self._outgoing.append((memoryview(data), len(data) % self._max_packet_size == 0))
            self._give()

    def submit(self, request: InRequest) -> None:
        """The host asks; the answer may come before this returns."""
        self._waiting.append(request)
        self._give()

    def cancel(self, tag: int) -> bool:
        """Forget a request without an answer; whether it was there."""
        for request in self._waiting:
            if request.tag == tag:
                self._waiting.remove(request)
                return True
        return False

    def halt(self, times: int) -> None:
        """Stall every request, until the host has cleared it so many times."""
        self._halt.halt(times)
        self._give()

    def clear_halt(self) -> None:
        """The host clears the halt."""
        self._halt.clear()
        self._give()

    def drop(self) -> None:
        """End every request as cancelled, and forget the data."""
        self._outgoing.clear()
        while self._waiting:
            self._ended(self._waiting.popleft().tag, TransferStatus.CANCELLED, b"")

    def _give(self) -> None:
        while self._waiting and self._halt:
            self._ended(self._waiting.popleft().tag, TransferStatus.STALLED, b"")
        while self._waiting and self._outgoing and not self._halt:
            request = self._waiting.popleft()
            data, needs_empty_packet = self._outgoing.popleft()
            chunk, rest = data[: request.length], data[request.length :]
            if rest or (needs_empty_packet and len(chunk) == request.length):
                self._outgoing.appendleft((rest, needs_empty_packet))
            self._ended(request.tag, TransferStatus.DONE, bytes(chunk))
