"""The emulated bus of bench/fakeusb, called as a daemon calls it: libusb's functions, through ctypes."""

from __future__ import annotations

import ctypes
import shutil
from typing import TYPE_CHECKING

from usbmux.mux.packet import FIRST_RX_SEQ, SETUP_PAYLOAD, MuxProtocol, Version, encode_v1, encode_v2
from usbmux.mux.segment import Flags, Segment

if TYPE_CHECKING:
    from pathlib import Path

OUT, IN = 0x04, 0x85
BULK = 2
COMPLETED, CANCELLED, NO_DEVICE = 0, 3, 5
ADD_ZERO_PACKET = 8


class Transfer(ctypes.Structure):
    """struct libusb_transfer."""

    _fields_ = (
        ("dev_handle", ctypes.c_void_p),
        ("flags", ctypes.c_uint8),
        ("endpoint", ctypes.c_uint8),
        ("type", ctypes.c_uint8),
        ("timeout", ctypes.c_uint),
        ("status", ctypes.c_int),
        ("length", ctypes.c_int),
        ("actual_length", ctypes.c_int),
        ("callback", ctypes.c_void_p),
        ("user_data", ctypes.c_void_p),
        ("buffer", ctypes.c_void_p),
        ("num_iso_packets", ctypes.c_int),
    )
    status: int
    actual_length: int


class Timeval(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("microseconds", ctypes.c_long))


class Submitted:
    """A transfer in flight, and its end."""

    def __init__(self, transfer: ctypes._Pointer[Transfer], buffer: ctypes.Array[ctypes.c_char]) -> None:
        self.pointer = transfer
        self._transfer = transfer.contents
        self._transfer.status = -1
        self._buffer = buffer

    @property
    def status(self) -> int:
        """-1 while it is in flight."""
        return self._transfer.status

    @property
    def data(self) -> bytes:
        return self._buffer.raw[: self._transfer.actual_length]


class FakeBus:
    """One phone, opened and claimed. Each has a copy of the library, and so of all that it knows."""

    def __init__(self, library: Path, folder: Path) -> None:
        copy = folder / "libusb-copy.so"
        shutil.copy(library, copy)
        self._usb = ctypes.CDLL(str(copy))
        self._usb.libusb_alloc_transfer.restype = ctypes.POINTER(Transfer)
        self._context = ctypes.c_void_p()
        self._usb.libusb_init(ctypes.byref(self._context))
        devices = ctypes.POINTER(ctypes.c_void_p)()
        assert self._usb.libusb_get_device_list(self._context, ctypes.byref(devices)) == 1
        self._handle = ctypes.c_void_p()
        assert self._usb.libusb_open(ctypes.c_void_p(devices[0]), ctypes.byref(self._handle)) == 0
        assert self._usb.libusb_claim_interface(self._handle, 1) == 0
        self._tx_seq = 0
        self._kept: list[Submitted] = []  # their buffers must last as long as they are in flight

    def read(self, length: int) -> Submitted:
        return self._submit(IN, ctypes.create_string_buffer(length), length)

    def write(self, data: bytes, *, flags: int = 0) -> Submitted:
        return self._submit(OUT, ctypes.create_string_buffer(data, max(len(data), 1)), len(data), flags)

    def cancel(self, submitted: Submitted) -> None:
        assert self._usb.libusb_cancel_transfer(submitted.pointer) == 0

    def handle_events(self) -> None:
        assert self._usb.libusb_handle_events_timeout(self._context, ctypes.byref(Timeval(0, 0))) == 0

    def wait(self, *submitted: Submitted) -> None:
        while any(each.status == -1 for each in submitted):
            assert self._usb.libusb_handle_events_timeout(self._context, ctypes.byref(Timeval(1, 0))) == 0

    def shake_hands(self) -> None:
        answer = self.read(512)
        self.write(encode_v1(MuxProtocol.VERSION, Version(2, 0).encode()))
        self.wait(answer)
        assert answer.data == encode_v1(MuxProtocol.VERSION, Version(2, 0).encode())
        self.write(encode_v2(MuxProtocol.SETUP, SETUP_PAYLOAD, 0, FIRST_RX_SEQ))

    def send(self, segment: Segment) -> Submitted:
        self._tx_seq += 1
        return self.write(encode_v2(MuxProtocol.TCP, segment.encode(), self._tx_seq, 0))

    def connect(self, port: int, *, host_port: int = 1, window: int = 131072) -> Segment:
        """Returns: the phone's SYN+ACK."""
        answer = self.read(512)
        self.send(Segment(host_port, port, 0, 0, Flags.SYN, window))
        self.wait(answer)
        return Segment.decode(answer.data[16:])

    def _submit(self, endpoint: int, buffer: ctypes.Array[ctypes.c_char], length: int, flags: int = 0) -> Submitted:
        pointer = self._usb.libusb_alloc_transfer(0)
        transfer = pointer.contents
        transfer.dev_handle, transfer.endpoint, transfer.type = self._handle, endpoint, BULK
        transfer.buffer, transfer.length, transfer.flags = ctypes.addressof(buffer), length, flags
        submitted = Submitted(pointer, buffer)
        self._kept.append(submitted)
        assert self._usb.libusb_submit_transfer(pointer) == 0
        return submitted
