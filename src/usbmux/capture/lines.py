"""A trace in lines, one for each packet, whatever a line looks like."""

from datetime import datetime
from typing import Final, Protocol

from usbmux.capture.decoded_link import DecodedLink
from usbmux.capture.link_event import LinesDropped, LinkEvent, event_text
from usbmux.capture.output import Output
from usbmux.capture.trace_hub import LinkSink
from usbmux.capture.transcript import Direction, PacketSeen
from usbmux.mux.segment import Segment
from usbmux.usb.pipe import UsbDeviceInfo

_NO_DIRECTION: Final = "--"


class LineForm(Protocol):
    """What a line looks like, without the newline. Times are in nanoseconds since 1970."""

    def segment(self, udid: str, direction: Direction, segment: Segment, seen: PacketSeen, time_ns: int) -> str:
        """A TCP packet crossed."""

    def event(self, udid: str, direction: Direction | None, event: LinkEvent, time_ns: int) -> str:
        """Anything else happened; without a direction it did not cross the link."""


class TextLines:
    """A `LineForm` for people: local time, UDID, direction and packet, in the form of tcpdump."""

    def segment(self, udid: str, direction: Direction, segment: Segment, seen: PacketSeen, time_ns: int) -> str:
        """See `LineForm`."""
        counts = f" (tx {seen.packet.tx_seq} rx {seen.packet.rx_seq})" if seen.framing == 2 else ""
        return _line(udid, direction, f"{segment}{counts}", time_ns)

    def event(self, udid: str, direction: Direction | None, event: LinkEvent, time_ns: int) -> str:
        """See `LineForm`."""
        return _line(udid, direction, event_text(event), time_ns)


class LineTrace:
    """A `TraceSink` that writes lines."""

    def __init__(self, output: Output, form: LineForm) -> None:
        self._output = output
        self._form = form
        self._phones: dict[str, _PhoneLines] = {}

    def link_opened(self, info: UsbDeviceInfo, time_ns: int, *, is_under_way: bool = False) -> LinkSink:
        """See `TraceSink`."""
        udid = info.serial_number
        lines = self._phones.setdefault(udid, _PhoneLines(self._output, self._form, udid))
        return DecodedLink(lines, info, time_ns, is_under_way=is_under_way)

    def trace_ended(self, time_ns: int) -> None:
        """See `TraceSink`."""
        for lines in self._phones.values():
            lines.tell_dropped(time_ns, is_vital=True)


class _PhoneLines:
    def __init__(self, output: Output, form: LineForm, udid: str) -> None:
        self._output = output
        self._form = form
        self._udid = udid
        self._dropped = 0
        """How many lines since the last one that was written."""

    def segment_seen(self, direction: Direction, segment: Segment, seen: PacketSeen, time_ns: int) -> None:
        self._write(self._form.segment(self._udid, direction, segment, seen, time_ns), time_ns)

    def event_seen(self, direction: Direction | None, event: LinkEvent, time_ns: int) -> None:
        self._write(self._form.event(self._udid, direction, event, time_ns), time_ns)

    def tell_dropped(self, time_ns: int, *, is_vital: bool = False) -> None:
        """Write how many lines are missing here, if any are."""
        if self._dropped:
            line = self._form.event(self._udid, None, LinesDropped(self._dropped), time_ns)
            if self._output.write(f"{line}\n".encode(), is_vital=is_vital):
                self._dropped = 0

    def _write(self, line: str, time_ns: int) -> None:
        self.tell_dropped(time_ns)
        # Not before the line that tells of those that are missing.
        if self._dropped or not self._output.write(f"{line}\n".encode()):
            self._dropped += 1


def _line(udid: str, direction: Direction | None, text: str, time_ns: int) -> str:
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    moment = f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}.{rest_ns // 1000:06}"
    return f"{moment} {udid} {direction.value if direction else _NO_DIRECTION:3} {text}"
