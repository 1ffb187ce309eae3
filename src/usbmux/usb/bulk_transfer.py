"""Bulk transfers without the binding's objects, which cost three times as much as the transfers themselves.

They go through the functions of the library that the binding has loaded, and through its structures. The callback is
the `append` of a queue, called by libusb without any Python in between: whoever runs libusb's events looks into the
queue afterwards.
"""

import ctypes
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from usbmux.errors import UsbError
from usbmux.usb._usb1 import Handle, TransferFields, TransferPointer
from usbmux.usb.binding import raw_handle, raw_library, raw_submit

_BULK: Final = 2
_ADD_ZERO_PACKET: Final = 8


class BulkTransfer:
    """One transfer of an endpoint, used again and again. Made by `BulkEndpoint.new_transfer`."""

    __slots__ = ("_cancel", "_free", "_pointer", "fields", "length", "memory", "submit")

    def __init__(self, pointer: TransferPointer, submit: Callable[[int], int], memory: memoryview) -> None:
        library = raw_library()
        self._pointer: Final = pointer
        self.fields: Final[TransferFields] = pointer.contents
        """The structure behind it; how it ended last is written there."""
        self.submit: Final[Callable[[], int]] = partial(submit, self.address)
        """Hand it to libusb. Returns: 0, or a number for `error_from_code`; then it will not end."""
        self.memory: Final = memory
        """What it reads into or writes."""
        self.length = 0
        """How many bytes it is to carry."""
        self._cancel: Final = library.libusb_cancel_transfer
        self._free: Final = library.libusb_free_transfer
        self.fields.buffer = ctypes.addressof(ctypes.c_char.from_buffer(memory))

    @property
    def address(self) -> int:
        """Of the structure, which tells transfers apart."""
        # It is a structure of ctypes; the protocol says only which fields of it are used.
        return ctypes.addressof(self.fields)  # type: ignore[arg-type]

    def set_length(self, length: int) -> None:
        """How many bytes of its memory it is to carry next: the first."""
        self.length = self.fields.length = length

    def set_zero_packet(self, wanted: bool) -> None:
        """Whether a zero-length packet follows data that ends with a full one."""
        self.fields.flags = _ADD_ZERO_PACKET if wanted else 0

    def cancel(self) -> None:
        """Ask libusb to end it, which it will, whatever it says to this. No effect if it is not in flight."""
        self._cancel(self._pointer)

    def close(self) -> None:
        """Free it. It must not be in flight."""
        self._free(self._pointer)


class BulkEndpoint:
    """One bulk endpoint of an opened device."""

    def __init__(self, handle: Handle, address: int) -> None:
        self.address: Final = address
        self.ended: Final[deque[int]] = deque()
        """The addresses of transfers that have ended and were not taken yet."""
        self._handle: Final = raw_handle(handle)
        self._submit: Final = raw_submit()
        self._transfers: Final[dict[int, BulkTransfer]] = {}
        library = raw_library()
        called_back = library.LIBUSB_CALL_FUNCTYPE(None, ctypes.c_void_p)(self.ended.append)
        self._called_back: Final = called_back  # libusb has its address
        self._callback: Final = ctypes.cast(called_back, library.libusb_transfer_cb_fn_p)

    def new_transfer(self, memory: memoryview) -> BulkTransfer:
        """A transfer from or to some memory, which is writable and its own.

        Raises:
            UsbError: Out of memory.
        """
        pointer = raw_library().libusb_alloc_transfer(0)
        if not pointer:
            raise UsbError("cannot make a transfer: out of memory")
        fields = pointer.contents
        fields.dev_handle = self._handle
        fields.endpoint = self.address
        fields.type = _BULK
        fields.timeout = 0
        fields.callback = self._callback
        transfer = BulkTransfer(pointer, self._submit, memory)
        self._transfers[transfer.address] = transfer
        return transfer

    def take_ended(self) -> Sequence[BulkTransfer]:
        """The transfers that have ended and were not taken yet, in order."""
        ended, transfers = self.ended, self._transfers
        count = len(ended)  # a callback in another thread may add one meanwhile
        if count == 1:
            return (transfers[ended.popleft()],)
        return [transfers[ended.popleft()] for _ in range(count)]

    def close(self) -> None:
        """Free the transfers. None of them may be in flight."""
        for transfer in self._transfers.values():
            transfer.close()
        self._transfers.clear()
