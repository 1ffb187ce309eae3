"""Runs the daemon with something done in another way: varied.py VARIANT PROGRAM ARGUMENTS.

A file of its own, started by its path: what it imports is imported in the daemon, by the interpreter that runs it.
"""

import asyncio
import runpy
import sys
from collections.abc import Callable


def use_uvloop() -> None:
    """Another event loop."""
    import uvloop  # type: ignore[import-not-found]  # it is not where the types are checked

    from usbmux import direct_loop

    direct_loop.new_event_loop = uvloop.new_event_loop


def use_asyncio() -> None:
    """The descriptors of the data path go asyncio's way."""
    from usbmux import direct_loop

    direct_loop.new_event_loop = asyncio.SelectorEventLoop


def use_callbacks() -> None:
    """A function in Python for each transfer that ends, where there is the append of a queue."""
    import usb1

    usb1.loadLibrary()
    make_type = usb1.libusb1.LIBUSB_CALL_FUNCTYPE

    def slower(*types: object) -> Callable[[Callable[[int], None]], object]:
        def make(function: Callable[[int], None] | int) -> object:
            # A number is a function of the library, which is called and does not call.
            return make_type(*types)(function if isinstance(function, int) else lambda address: function(address))

        return make

    usb1.libusb1.LIBUSB_CALL_FUNCTYPE = slower


def use_threads() -> None:
    """A thread for the events of each phone, as where libusb has no descriptors."""
    from usbmux.usb import event_pump, session

    # To mypy what a module has imported is not its own.
    session.make_event_pump = event_pump.ThreadPump  # type: ignore[attr-defined]


def use_nothing() -> None:
    """As it is."""


_VARIANTS = {
    "as it is": use_nothing,
    "asyncio": use_asyncio,
    "uvloop": use_uvloop,
    "callbacks": use_callbacks,
    "threads": use_threads,
}


def main() -> None:
    """Take the program's place."""
    variant, sys.argv = sys.argv[1], sys.argv[2:]
    _VARIANTS[variant]()
    runpy.run_path(sys.argv[0], run_name="__main__")


main()
