"""Faults that AFC commits when asked to. Defaults are right."""

from collections import deque
from dataclasses import replace
from typing import Final

from usbmux.testing.iphone.afc.codec import Operation
from usbmux.testing.iphone.afc.reply import Reply
from usbmux.values import frozen

MAX_HELD_READ: Final = 1 << 16
"""The most data, in bytes, that answers a read while replies are reordered, for they are kept in memory."""


@frozen
class AfcFaults:
    """What is wrong with the replies of a session."""

    after: int = 0
    """How many replies are right before the first fault."""
    longest_read: int | None = None
    """At most so many bytes answer a read, the rest follows when asked for; 0 for no data, as at the end of a file."""
    packet_number_offset: int = 0
    """How far the packet number of a reply is beyond that of its request."""
    status_in_payload: bool = False
    """A status is not in the head of its reply, but in the payload."""
    reordered_replies: int = 1
    """Replies wait until there are so many, then the last one goes first. A host that waits for each waits for ever."""


class FaultyReplies:
    """Replies on their way to the host, with the faults of one session.

    Args:
        faults: Which.
    """

    def __init__(self, faults: AfcFaults) -> None:
        self._faults = faults
        self._count = 0
        self._held: list[tuple[int, Reply]] = []
        self._ready: deque[tuple[int, Reply]] = deque()

    def longest_read(self) -> int | None:
        """The most that may answer the next request, if that is a read; None for as much as it asks for."""
        if self._count < self._faults.after:
            return None
        if self._faults.reordered_replies > 1 and self._faults.longest_read is None:
            return MAX_HELD_READ
        return self._faults.longest_read

    def put(self, packet_number: int, reply: Reply) -> None:
        """Take a reply to a request with that number."""
        self._count += 1
        if self._count <= self._faults.after:
            self._ready.append((packet_number, reply))
            return
        if reply.operation is Operation.STATUS and self._faults.status_in_payload:
            reply = replace(reply, head=b"", payload=reply.head)
        number = (packet_number + self._faults.packet_number_offset) % (1 << 64)
        self._held.append((number, _in_memory(reply) if self._faults.reordered_replies > 1 else reply))
        if len(self._held) >= self._faults.reordered_replies:
            self._ready.extend(reversed(self._held))
            self._held.clear()

    def take(self) -> tuple[int, Reply] | None:
        """Remove and return the next reply and its packet number, or None while none is to be sent."""
        return self._ready.popleft() if self._ready else None


def _in_memory(reply: Reply) -> Reply:
    """The same, independent of a file that may be closed before it is sent."""
    if reply.extent is None:
        return reply
    data = reply.extent.file.read_at(reply.extent.offset, reply.extent.length)
    return replace(reply, payload=data, extent=None)
