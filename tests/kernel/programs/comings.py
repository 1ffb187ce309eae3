"""Says when phones and the daemon come and go, by the guest's clock; a line is SECONDS and what happened.

`kernel TEXT` is a line of the kernel's log, at the beginning of each plug and unplug and at the end of each suspend.
`daemon came` and `daemon went` are the daemon's; after each coming, all phones that it has are
`attached UDID BITS_PER_SECOND` anew.
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress

from usbmux import Client, DaemonUnavailableError, DeviceAttached, DeviceDetached, DevicePaired, Watch

NEWS = ("new high-speed USB device", "new SuperSpeed USB device", "USB disconnect", "suspend exit")
RETRY_S = 0.05


def main() -> None:
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(log, 0, os.SEEK_END)
    report("watching")
    while True:
        with suppress(DaemonUnavailableError), Client().watch() as watch:
            report("daemon came")
            try:
                report_phones(watch, log)
            finally:
                report("daemon went")
        select.select([log], [], [], RETRY_S)
        report_kernel(log)


def report_phones(watch: Watch, log: int) -> None:
    while True:
        select.select([log, watch.fileno()], [], [])
        report_kernel(log)
        while event := watch.wait_event(0):
            match event:
                case DeviceAttached(device):
                    report(f"attached {device.udid} {device.connection_speed}")
                case DeviceDetached(device):
                    report(f"detached {device.udid}")
                case DevicePaired():
                    pass


def report_kernel(log: int) -> None:
    with suppress(BlockingIOError):
        while True:
            record = os.read(log, 8192).decode(errors="replace")
            text = record.partition(";")[2].partition("\n")[0]
            if any(news in text for news in NEWS):
                report(f"kernel {text}")


def report(what: str) -> None:
    print(f"{time.monotonic():.3f} {what}")


if __name__ == "__main__":
    main()
