"""The one place that imports usb1: it gets its types, loads the C library, and turns its errors into ours."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from functools import partial
from typing import Final, cast

from usbmux.errors import UsbAccessError, UsbDisconnectedError, UsbError, UsbStallError, UsbTimeoutError
from usbmux.usb._usb1 import Context, Handle, RawLibrary, Transfer

try:
    import usb1
except ModuleNotFoundError:
    usb1 = None


class ErrorCode(IntEnum):
    """libusb's error numbers, as far as they are told apart here."""

    IO = -1
    ACCESS = -3
    NO_DEVICE = -4
    NOT_FOUND = -5
    BUSY = -6
    TIMEOUT = -7
    PIPE = -9
    INTERRUPTED = -10
    NO_MEMORY = -11
    NOT_SUPPORTED = -12


class TransferStatus(IntEnum):
    """How a transfer ended."""

    COMPLETED = 0
    ERROR = 1
    TIMED_OUT = 2
    CANCELLED = 3
    STALL = 4
    NO_DEVICE = 5
    OVERFLOW = 6


HOTPLUG_DEVICE_LEFT: Final = 2

_PLAIN_TEXT: Final = {
    ErrorCode.IO: "the system reports an input or output error",
    ErrorCode.ACCESS: "no permission: a udev rule must give this user or group the device node under /dev/bus/usb"
    " (usbmux ships one; or run the daemon as root)",
    ErrorCode.BUSY: "busy: another process has claimed it; is another usbmuxd running?",
    ErrorCode.NO_MEMORY: "out of transfer memory: raise /sys/module/usbcore/parameters/usbfs_memory_mb",
    ErrorCode.NO_DEVICE: "the device is gone",
    ErrorCode.PIPE: "the endpoint stalled",
    ErrorCode.TIMEOUT: "no answer in time",
    ErrorCode.NOT_SUPPORTED: "not supported here",
}


class UsbIoError(UsbError):
    """What libusb says of every other errno."""


class UsbUnsupportedError(UsbError):
    """The platform cannot do this."""


def open_context() -> Context:
    """Make a libusb context and list the bus. Slow: call it in a worker thread.

    Raises:
        UsbError: The binding or the library is missing, or it cannot use the bus.
    """
    if usb1 is None:
        raise UsbError("the libusb binding is missing: pip install 'usbmux[daemon]'")
    try:
        usb1.loadLibrary()
    except (OSError, AttributeError) as error:
        # The binding looks up the library by name, then its functions; either look-up may fail.
        raise UsbError(f"libusb cannot be loaded ({error}): install libusb-1.0-0 (its name in Debian)") from error
    context = cast(Context, usb1.USBContext())
    with translated("list the USB bus"):
        context.open()
    return context


def has_hotplug() -> bool:
    """Whether the loaded library reports comings and goings. Call after `open_context`."""
    return bool(usb1.hasCapability(usb1.CAP_HAS_HOTPLUG))


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn a libusb error raised inside into one of ours.

    Args:
        doing: What was tried, as ``claim interface 1 of 1-2``, for the text of the error.

    Raises:
        UsbError: The subclass that fits.
    """
    try:
        yield
    except usb1.USBError as error:
        raise error_from_code(_error_code(error), doing) from error


def submit(transfer: Transfer, doing: str) -> None:
    """Hand a transfer to libusb.

    Raises:
        UsbError: It was not taken; its callback will not run.
    """
    try:
        transfer.submit()
    except usb1.USBError as error:
        raise error_from_code(_error_code(error), doing) from error


def cancel(transfer: Transfer) -> None:
    """Ask libusb to end a transfer. Its callback still comes, whatever libusb says to this."""
    with suppress(usb1.USBError):
        transfer.cancel()


def handle_events(context: Context, timeout_s: float = 0) -> None:
    """Run what is due in a context, waiting for it at most `timeout_s`.

    Raises:
        UsbError: libusb could not look.
    """
    try:
        context.handleEventsTimeout(timeout_s)
    except usb1.USBError as error:
        if _error_code(error) != ErrorCode.INTERRUPTED:
            raise error_from_code(_error_code(error), "handle USB events") from error


def event_handler(context: Context) -> Callable[[], int]:
    """What runs all that is due in a context and waits for nothing. It returns 0, or libusb's number of an error.

    As `handle_events`, in a twentieth of the time: the binding's own call guards against a context that is being
    closed meanwhile, which is not done here.
    """
    # The binding has no public name for it.
    pointer: object = getattr(context, "_USBContext__context_p", None)
    if pointer is None:
        return partial(_handle_events_of_binding, context)
    return partial(usb1.libusb1.libusb_handle_events_timeout, pointer, usb1.libusb1.timeval(0, 0))


def raise_unless_interrupted(code: int) -> None:
    """Make an error of what `event_handler` returned.

    Raises:
        UsbError: libusb could not look.
    """
    if code != ErrorCode.INTERRUPTED:
        raise error_from_code(code, "handle USB events")


def _handle_events_of_binding(context: Context) -> int:
    handle_events(context)
    return 0


def raw_library() -> RawLibrary:
    """The C library that the binding has loaded. Call after `open_context`."""
    return cast(RawLibrary, usb1.libusb1)


def raw_submit() -> Callable[[int], int]:
    """`libusb_submit_transfer` of an address. The checks of the binding take twice as long as the call."""
    entry = ctypes.cast(usb1.libusb1.libusb_submit_transfer, ctypes.c_void_p).value
    submit: Callable[[int], int] = usb1.libusb1.LIBUSB_CALL_FUNCTYPE(ctypes.c_int, ctypes.c_void_p)(entry)
    return submit


def raw_handle(handle: Handle) -> object:
    """The pointer inside a handle, which stays the binding's."""
    # The binding does not give it away by a public name. Should it ever be called otherwise, tests/usb fails at once.
    return cast(object, handle._USBDeviceHandle__handle)  # type: ignore[attr-defined]


def _error_code(error: Exception) -> int:
    return int(getattr(error, "value", None) or 0)


def error_from_code(code: int, doing: str) -> UsbError:
    """What one of libusb's error numbers means for us.

    Args:
        code: Negative.
        doing: What was tried, for the text.
    """
    try:
        text = f"cannot {doing}: {_PLAIN_TEXT[ErrorCode(code)]}"
    except (ValueError, KeyError):
        return UsbError(f"cannot {doing}: libusb error {code}")
    match code:
        case ErrorCode.ACCESS | ErrorCode.BUSY:
            return UsbAccessError(text)
        case ErrorCode.NO_DEVICE:
            return UsbDisconnectedError(text)
        case ErrorCode.PIPE:
            return UsbStallError(text)
        case ErrorCode.TIMEOUT:
            return UsbTimeoutError(text)
        case ErrorCode.IO:
            return UsbIoError(text)
        case ErrorCode.NOT_SUPPORTED:
            return UsbUnsupportedError(text)
        case _:
            return UsbError(text)
