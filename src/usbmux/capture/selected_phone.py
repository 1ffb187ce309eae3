"""A trace of one phone among several."""

from typing import Final

from usbmux.capture.trace_hub import LinkSink, TraceSink
from usbmux.usb.pipe import UsbDeviceInfo


class SelectedPhone:
    """A `TraceSink` that tells another one of the phone with this UDID alone."""

    def __init__(self, sink: TraceSink, udid: str) -> None:
        self._sink: Final = sink
        self._udid: Final = udid

    def link_opened(self, info: UsbDeviceInfo, time_ns: int, *, is_under_way: bool = False) -> LinkSink | None:
        """See `TraceSink`."""
        if info.serial_number != self._udid:
            return None
        return self._sink.link_opened(info, time_ns, is_under_way=is_under_way)

    def trace_ended(self, time_ns: int) -> None:
        """See `TraceSink`."""
        self._sink.trace_ended(time_ns)
