"""``usbmux capture``: what crosses between a running daemon and its phones."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from usbmux.admin.message import CaptureFormat
from usbmux.capture.output import STANDARD_OUTPUT
from usbmux.capture.pcapng_reader import PcapngReader
from usbmux.client.admin import AdminClient, CaptureConnection
from usbmux.client.device import Device
from usbmux.client.selection import select_device
from usbmux.commands.exits import LONGEST_WAIT_S, ExitCode, complain
from usbmux.errors import DaemonUnavailableError, UsbmuxError

_PROGRAM: Final = "usbmux"
_ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_MODE: Final = 0o600


def capture(client: AdminClient, udid: str | None, path: str | None) -> int:
    """Write packets down until a signal ends it.

    Args:
        client: Of the daemon.
        udid: Of the phone, as for `select_device`; None for all phones.
        path: A file for Wireshark, ``-`` for the standard output; None for lines on the standard output.

    Raises:
        DaemonUnavailableError: There is none, or it ended before the signal came.
    """
    if udid is not None:
        udid = _full_udid(client, udid)
    reader = PcapngReader() if path else None
    with (
        client.capture(udid, CaptureFormat.PCAPNG if path else CaptureFormat.LINES) as connection,
        _open(path or STANDARD_OUTPUT) as descriptor,
        _ended_by_signal(connection) as was_ended,
    ):
        complain(_PROGRAM, f"capturing {udid or 'all phones'}; Ctrl-C ends it")
        while (data := connection.read(LONGEST_WAIT_S)) != b"":
            if data is None:
                continue
            _write_all(descriptor, reader.receive_data(data) if reader else data, path)
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
def _open(path: str) -> Iterator[int]:
    """A descriptor of the file, made anew and for its owner alone, or of the standard output."""
    if path == STANDARD_OUTPUT:
        yield sys.stdout.fileno()
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
    except OSError as error:
        raise UsbmuxError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes, path: str | None) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UsbmuxError(f"cannot write {path or 'the standard output'}: {error.strerror}") from error


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
