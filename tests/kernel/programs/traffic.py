"""Reads from all phones and writes to them without end: `traffic.py UDID...`.

Says `reading UDID` and `writing UDID` whenever bytes flow anew.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from usbmux import Client, DeviceAttached, UsbmuxError

if TYPE_CHECKING:
    from collections.abc import Callable

DISCARD, SOURCE = 9, 19
SOME = bytes(1 << 16)
# More than the buffers on the way take, so that the phone must have had some of it.
FLOWING_LENGTH = 1 << 19


def again_and_again(move: Callable[[str], None], udid: str) -> None:
    while True:
        try:
            wait_attached(udid)
            move(udid)
        except (OSError, UsbmuxError):  # the phone or the daemon is gone
            time.sleep(0.3)


def wait_attached(udid: str) -> None:
    """Listens, because to ask again and again would take the emulated processor from the daemon."""
    with Client().watch(reconnect=True) as events:
        for event in events:
            if isinstance(event, DeviceAttached) and event.device.udid == udid:
                return


def read(udid: str) -> None:
    with Client().connect(udid, SOURCE) as connection:
        connection.sendall((1 << 40).to_bytes(8, "big"))
        count = 0
        while data := connection.recv(len(SOME)):
            if count == 0:
                print(f"reading {udid}")
            count += len(data)


def write(udid: str) -> None:
    with Client().connect(udid, DISCARD) as connection:
        count = 0
        while True:
            connection.sendall(SOME)
            count += len(SOME)
            if count == FLOWING_LENGTH:
                print(f"writing {udid}")


if __name__ == "__main__":
    for udid in sys.argv[1:]:
        for move in (read, write):
            threading.Thread(target=again_and_again, args=(move, udid)).start()
