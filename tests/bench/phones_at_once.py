"""A daemon over the preloaded bus of bench/fakeusb, with as many phones as that has: prints the steps of some works.

    FAKEUSB_PHONES=N LD_PRELOAD=... python -m tests.bench.phones_at_once FOLDER N

A program, because the bus takes the place of the system's libusb.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import socket
import sys
from pathlib import Path

from tests.daemon.harness import RawClient, turns, until
from tests.support.steps import OUR_CODE, StepCounter
from usbmux.control.address import UnixAddress
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.server import Daemon
from usbmux.daemon.settings import DaemonSettings
from usbmux.mux.settings import MuxSettings
from usbmux.usb.libusb import LibusbBus

ECHO = 7
TIMES, TURNS = 10, 40
LOOP = str(Path(asyncio.__file__).parent), str(selectors.__file__)


async def dial(daemon: Daemon) -> RawClient:
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, str(daemon.addresses[0]).removeprefix("unix:"))
    return RawClient(sock)


async def measure(folder: Path, phones: int) -> dict[str, int]:
    settings = DaemonSettings(
        listen=(ListenSettings(UnixAddress(str(folder / "usbmuxd"))),),
        pair_record_directory=folder / "lockdown",
        mux=MuxSettings(acknowledge_delay_s=0, syn_timeout_s=3600, quarantine_s=3600),
    )
    least: dict[str, int] = {}
    async with Daemon(settings, [LibusbBus(hotplug=False)]) as daemon:
        await until(lambda: len(daemon.registry.records()) == phones)
        stream = await dial(daemon)
        await stream.connect(ECHO)
        await turns()

        async def echo() -> None:
            await stream.send(bytes(64))
            await stream.receive_exactly(64)

        async def connect_and_close() -> None:
            client = await dial(daemon)
            await client.connect(ECHO)
            client.close()

        for work in [echo, connect_and_close] * TIMES:
            counter = StepCounter(OUR_CODE, *LOOP)
            with counter.counting():
                await work()
                await turns(TURNS)
            found = counter.places.total() - counter.places["TimerHandle.__lt__"]
            least[work.__name__] = min(found, least.get(work.__name__, found))
        stream.close()
    return least


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1]), int(sys.argv[2])))))
