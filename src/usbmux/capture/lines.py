"""A trace for people: a line a packet."""

from datetime import datetime
from typing import Final

from usbmux.capture.decoded_link import DecodedLink
from usbmux.capture.output import Output
from usbmux.capture.traced_bus import LinkSink
from usbmux.capture.transcript import Direction, PacketSeen
from usbmux.mux.segment import Segment
from usbmux.usb.pipe import UsbDeviceInfo

_NO_DIRECTION: Final = "--"


class LineTrace:
    """A `TraceSink` that writes local time, UDID, direction and packet, in the form of tcpdump."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def link_opened(self, info: UsbDeviceInfo, time_ns: int) -> LinkSink:
        """See `TraceSink`."""
        lines = _LinkLines(self._output, info.serial_number)
        lines.event_seen(None, f"link opened at {info.port_path}, {info.connection_speed} bit/s", time_ns)
        return DecodedLink(lines)


class _LinkLines:
    def __init__(self, output: Output, udid: str) -> None:
        self._output = output
        self._udid = udid

    def segment_seen(self, direction: Direction, segment: Segment, seen: PacketSeen, time_ns: int) -> None:
        counts = f" (tx {seen.packet.tx_seq} rx {seen.packet.rx_seq})" if seen.framing == 2 else ""
        self._write(direction.value, f"{segment}{counts}", time_ns)

    def event_seen(self, direction: Direction | None, text: str, time_ns: int, data: bytes = b"") -> None:
        self._write(direction.value if direction else _NO_DIRECTION, text, time_ns)

    def _write(self, direction: str, text: str, time_ns: int) -> None:
        seconds, rest_ns = divmod(time_ns, 1_000_000_000)
        moment = f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}.{rest_ns // 1000:06}"
        self._output.write(f"{moment} {self._udid} {direction:3} {text}\n".encode())
