"""What comes in on one link, from one handshake to the next: transfers cut into packets, ordinary segments taken."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from usbmux.mux.arrivals import Arrivals
from usbmux.mux.connection import TcpConnection
from usbmux.mux.early_acknowledgement import take_early
from usbmux.mux.link_count import LinkCount
from usbmux.mux.packet import Packet, PacketReader
from usbmux.mux.segment_packet import HEADERS_LENGTH
from usbmux.mux.segment_run import SegmentRun
from usbmux.mux.settings import MuxSettings


class Ingress:
    """The counterpart of `Egress`. Packets that are no ordinary segments are the session's.

    Args:
        link_count: Of the phone's packets.
        connections: Of the session, by source port.
        arrivals: Get the data of ordinary segments.
        changed: Called for a connection that may have something to send now.
    """

    def __init__(
        self,
        settings: MuxSettings,
        link_count: LinkCount,
        connections: Mapping[int, TcpConnection],
        arrivals: Arrivals,
        *,
        changed: Callable[[TcpConnection], None],
    ) -> None:
        self.deadline: float | None = None
        """For the rest of a packet that has begun."""
        self._settings: Final = settings
        self._link_count: Final = link_count
        self._connections: Final = connections
        self._changed: Final = changed
        self._reader: Final = PacketReader(version=1)
        self._run: Final = SegmentRun(link_count, connections, arrivals, changed=changed)

    @property
    def version(self) -> int:
        """Of the framing."""
        return self._reader.version

    def use_version(self, version: int) -> None:
        """Expect packets of the version that was agreed."""
        self._reader.version = version

    def take_run(self, pieces: Sequence[bytes | memoryview], index: int, offset: int, now: float) -> tuple[int, int]:
        """Take the ordinary segments that begin there, if a packet begins there; see `SegmentRun.take`."""
        return (index, offset) if self._reader.pending else self._run.take(pieces, index, offset, now)

    def packets(self, data: memoryview, now: float) -> Iterator[Packet]:
        """Cut up bytes of a transfer that do not begin with an ordinary segment. Has to be exhausted.

        Yields:
            Each packet that is none, valid until the next one. What it means is to be done before that.

        Raises:
            RemoteProtocolError: A length that no packet can have; the framing is lost.
        """
        reader, offset, end = self._reader, 0, len(data)
        begun = len(reader.pending)
        is_new = not begun
        while offset < end:
            was_in_parts = bool(reader.pending)
            raw, offset = reader.next_raw(data, offset)
            if raw is not None:
                is_new = True
                if not (was_in_parts and self.take_run((raw,), 0, 0, now)[0]):
                    yield reader.decode(raw)
                is_at_end, offset = self.take_run((data,), 0, offset, now)
                if is_at_end:
                    break
        if not reader.pending:
            self.deadline = None
        elif is_new or begun < HEADERS_LENGTH:
            self._await_rest(now, is_new=is_new)

    def _await_rest(self, now: float, *, is_new: bool) -> None:
        """The rest of a packet is still coming, which begins in this transfer or whose headers had not all come."""
        if is_new:
            # A length that was no length may wait for 64 KiB that never come, and everything behind it with it.
            self.deadline = now + self._settings.packet_timeout_s
        if self._reader.version == 2:  # phones with version 1 are slower than any of this
            connection = take_early(self._reader.pending, self._link_count.expected, self._connections, now)
            if connection is not None:
                self._changed(connection)
