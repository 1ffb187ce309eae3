"""A trace for people: a line a packet."""

from datetime import datetime
from typing import Final

from usbmux.capture.decoded_link import DecodedLink
from usbmux.capture.output import Output
from usbmux.capture.trace_hub import LinkSink
from usbmux.capture.transcript import Direction, PacketSeen
from usbmux.mux.segment import Segment
from usbmux.usb.pipe import UsbDeviceInfo

_NO_DIRECTION: Final = "--"


class LineTrace:
    """A `TraceSink` that writes local time, UDID, direction and packet, in the form of tcpdump."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._phones: dict[str, _PhoneLines] = {}

    def link_opened(self, info: UsbDeviceInfo, time_ns: int, *, is_under_way: bool = False) -> LinkSink:
        """See `TraceSink`."""
        udid = info.serial_number
        lines = self._phones.setdefault(udid, _PhoneLines(self._output, udid))
        return DecodedLink(lines, info, time_ns, is_under_way=is_under_way)

    def trace_ended(self, time_ns: int) -> None:
        """See `TraceSink`."""
        for lines in self._phones.values():
            lines.tell_dropped(time_ns, is_vital=True)


class _PhoneLines:
    def __init__(self, output: Output, udid: str) -> None:
        self._output = output
        self._udid = udid
        self._dropped = 0
        """How many lines since the last one that was written."""

    def segment_seen(self, direction: Direction, segment: Segment, seen: PacketSeen, time_ns: int) -> None:
        counts = f" (tx {seen.packet.tx_seq} rx {seen.packet.rx_seq})" if seen.framing == 2 else ""
        self._write(direction.value, f"{segment}{counts}", time_ns)

    def event_seen(self, direction: Direction | None, text: str, time_ns: int, data: bytes = b"") -> None:
        self._write(direction.value if direction else _NO_DIRECTION, text, time_ns)

    def tell_dropped(self, time_ns: int, *, is_vital: bool = False) -> None:
        """Write how many lines are missing here, if any are."""
        if self._dropped:
            line = self._line(_NO_DIRECTION, f"{self._dropped} lines dropped: they are read too slowly", time_ns)
            if self._output.write(line, is_vital=is_vital):
                self._dropped = 0

    def _write(self, direction: str, text: str, time_ns: int) -> None:
        self.tell_dropped(time_ns)
        # Not before the line that tells of those that are missing.
        if self._dropped or not self._output.write(self._line(direction, text, time_ns)):
            self._dropped += 1

    def _line(self, direction: str, text: str, time_ns: int) -> bytes:
        seconds, rest_ns = divmod(time_ns, 1_000_000_000)
        moment = f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}.{rest_ns // 1000:06}"
        return f"{moment} {self._udid} {direction:3} {text}\n".encode()
