"""``usbmux capture``: what crosses between a running daemon and its phones."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from usbmux.admin.message import CaptureFormat
from usbmux.capture.output import STANDARD_OUTPUT
from usbmux.capture.pcapng_reader import PcapngReader
from usbmux.client.admin import AdminClient
from usbmux.client.admin_connection import CaptureConnection
from usbmux.client.device import Device
from usbmux.client.selection import select_device
from usbmux.commands.capture_file import opened, write_all
from usbmux.commands.exits import LONGEST_WAIT_S, ExitCode, complain
from usbmux.errors import DaemonUnavailableError

_PROGRAM: Final = "usbmux"
_ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def capture(client: AdminClient, udid: str | None, path: str | None, *, as_json: bool) -> int:
    """Write packets down until a signal ends it.

    Args:
        client: Of the daemon.
        udid: Of the phone, as for `select_device`; None for all phones.
        path: A file for Wireshark, ``-`` for the standard output; None for lines on the standard output.
        as_json: The lines are JSON objects; without a path.

    Raises:
        DaemonUnavailableError: There is none, or it ended before the signal came.
    """
    if udid is not None:
        udid = _full_udid(client, udid)
    lines = CaptureFormat.JSON if as_json else CaptureFormat.LINES
    capture_format = lines if path is None else CaptureFormat.PCAPNG
    reader = None if path is None else PcapngReader()
    place = STANDARD_OUTPUT if path is None else path
    with (
        client.capture(udid, capture_format) as connection,
        opened(place) as descriptor,
        _ended_by_signal(connection) as was_ended,
    ):
        complain(_PROGRAM, f"capturing {udid or 'all phones'}; Ctrl-C ends it")
        while (data := connection.read(LONGEST_WAIT_S)) != b"":
            if data is None:
                continue
            write_all(descriptor, reader.receive_data(data) if reader else data, place)
    if reader is not None:
        complain(_PROGRAM, f"{reader.packets} packets captured, {reader.dropped} dropped")
    if not was_ended:
        raise DaemonUnavailableError(f"the usbmux daemon at {client.address} has ended the capture")
    return ExitCode.OK


def _full_udid(client: AdminClient, udid: str) -> str:
    phones = [
        Device(phone.device_id or 0, phone.udid, port_path=phone.port_path)
        for phone in client.status().phones
        if phone.udid
    ]
    return select_device(phones, udid).udid


@contextmanager
def _ended_by_signal(connection: CaptureConnection) -> Iterator[list[int]]:
    """Let the first signal ask for the end, so that the capture is whole; the next one has its usual effect.

    The list gets the signal's number.
    """
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in _ENDING_SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        restore()
        connection.stop()

    for number in _ENDING_SIGNALS:
        signal.signal(number, handle)
    try:
        yield received
    finally:
        restore()
