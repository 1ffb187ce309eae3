"""A daemon and a virtual iPhone whose files are those of a directory, as a process: `iphone_process.py DIRECTORY`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import NoReturn

from usbmux.testing import RunningDaemon
from usbmux.testing.iphone import VirtualIPhone, usual_services
from usbmux.testing.iphone.afc.directory_tree import DirectoryTree


def main(directory: Path) -> None:
    iphone = VirtualIPhone(services=usual_services(DirectoryTree(directory)))
    signal.signal(signal.SIGTERM, _end)
    with RunningDaemon([iphone.device]) as daemon:
        print(f"serving at {daemon.address}", flush=True)
        while True:
            signal.pause()


def _end(*_: object) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
