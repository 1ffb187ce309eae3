"""Recordings: every transfer of some links with its time, from which a phone can be replayed.

A file of JSON lines. The first says what it is, then a line an event, in the order in which they happened; `link`
numbers the links of the file, `t` is in nanoseconds since 1970::

    {"format": "usbmux recording", "version": 1}
    {"link": 0, "t": 1795328767000000000, "open": {"serial_number": "00008030-...", "product_id": 4776, ...}}
    {"link": 0, "t": 1795328767000100000, "out": "AAAAAAAAABQAAAACAAAAAAAAAAA="}
    {"link": 0, "t": 1795328767000200000, "in": "AAAAAAAAABQAAAACAAAAAAAAAAA="}
    {"link": 0, "t": 1795328769000000000, "end": "1-1 (05ac:12a8) was unplugged"}

`out` and `in` are transfers, in base64. A last line without its end is that of a killed daemon, and is ignored.
"""

import base64
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from usbmux.capture.output import Output
from usbmux.capture.trace_hub import LinkSink
from usbmux.capture.transcript import Direction
from usbmux.errors import UsbmuxError
from usbmux.usb.pipe import UsbDeviceInfo
from usbmux.values import frozen

_HEADER: Final = {"format": "usbmux recording", "version": 1}
_FASTEST: Final = 0x7FFFFFFFFFFFFFFF
"""In bit/s: clients read it into 64 bits with a sign."""
T = TypeVar("T")


@frozen
class RecordedTransfer:
    """One bulk transfer."""

    direction: Direction
    data: bytes
    time_ns: int


@dataclass(slots=True)
class RecordedLink:
    """One link to a phone, from the opening of its pipe."""

    info: UsbDeviceInfo
    transfers: list[RecordedTransfer] = field(default_factory=list)
    ended: str | None = None
    """Why; None if the recording ended before the link."""


class Recorder:
    """A `TraceSink` that writes a recording: of links that begin while it is there, as no phone can join later."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._links = 0
        _write(output, _HEADER)

    def link_opened(self, info: UsbDeviceInfo, time_ns: int, *, is_under_way: bool = False) -> LinkSink | None:
        """See `TraceSink`."""
        if is_under_way:
            return None
        link = self._links
        self._links += 1
        _write(self._output, {"link": link, "t": time_ns, "open": asdict(info)})
        return _LinkRecorder(self._output, link)

    def trace_ended(self, time_ns: int) -> None:
        """See `TraceSink`."""


class _LinkRecorder:
    def __init__(self, output: Output, link: int) -> None:
        self._output = output
        self._link = link

    def sent(self, packet: bytes, time_ns: int) -> None:
        self._write(Direction.OUT.value, _encode(packet), time_ns)

    def received(self, data: bytes | memoryview, time_ns: int) -> None:
        self._write(Direction.IN.value, _encode(data), time_ns)

    def ended(self, reason: str, time_ns: int) -> None:
        self._write("end", reason, time_ns)

    def _write(self, what: str, value: str, time_ns: int) -> None:
        _write(self._output, {"link": self._link, "t": time_ns, what: value})


def read_recording(path: str | Path) -> list[RecordedLink]:
    """The links of a file, in the order of their beginnings.

    Raises:
        UsbmuxError: It cannot be read or is no recording; the text names the file and the line.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise UsbmuxError(f"{path}: {error.strerror}") from error
    links: list[RecordedLink] = []
    for number, line in enumerate(lines, 1):
        try:
            _read_line(line, links, is_first=number == 1)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise UsbmuxError(f"{path}, line {number}: {error}") from error
    if not lines:
        raise UsbmuxError(f"{path}: the file is empty")
    return links


def _read_line(line: bytes, links: list[RecordedLink], *, is_first: bool) -> None:
    document: object = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError("expected an object")
    event: dict[str, object] = document
    if is_first:
        if event != _HEADER:
            raise ValueError(f"expected {json.dumps(_HEADER)}")
        return
    number, time_ns = _take(event, "link", int), _take(event, "t", int)
    if "open" in event:
        if number != len(links):
            raise ValueError(f"link {number} begins, expected {len(links)}")
        links.append(RecordedLink(_read_info(event)))
        return
    if not 0 <= number < len(links):
        raise ValueError(f"link {number} has not begun")
    for direction in Direction:
        if direction.value in event:
            data = base64.b64decode(_take(event, direction.value, str), validate=True)
            links[number].transfers.append(RecordedTransfer(direction, data, time_ns))
            return
    links[number].ended = _take(event, "end", str)


def _read_info(event: dict[str, object]) -> UsbDeviceInfo:
    fields: dict[str, object] = _take(event, "open", dict)
    return UsbDeviceInfo(
        serial_number=_take(fields, "serial_number", str),
        product_id=_take_number(fields, "product_id", 0xFFFF),
        location_id=_take_number(fields, "location_id", 0xFFFFFFFF),
        connection_speed=_take_number(fields, "connection_speed", _FASTEST),
        port_path=_take(fields, "port_path", str),
    )


def _take(fields: dict[str, object], key: str, kind: type[T]) -> T:
    value = fields.get(key)
    if not isinstance(value, kind):
        raise ValueError(f"{key}: expected {kind.__name__}, found {value!r}")
    return value


def _take_number(fields: dict[str, object], key: str, most: int) -> int:
    number = _take(fields, key, int)
    if not 0 <= number <= most:
        raise ValueError(f"{key}: {number} is not in 0..{most}")
    return number


def _encode(data: bytes | memoryview) -> str:
    return base64.b64encode(data).decode()


def _write(output: Output, event: dict[str, object]) -> None:
    output.write(json.dumps(event).encode() + b"\n", is_vital="format" in event or "open" in event)
