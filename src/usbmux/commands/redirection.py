"""``usbmux simulate --usbredir``: phones at sockets, for virtual machines."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from usbmux.commands.simulate import judge
from usbmux.control.address import UnixAddress
from usbmux.errors import UsbmuxError
from usbmux.testing import SimulatedPhone, Speed, UsbredirServer
from usbmux.usb.function import UsbFunction


def run_redirection(path: str, phones: Sequence[SimulatedPhone], speed: str) -> int:
    """Serve phones until a signal ends it.

    Args:
        path: Socket of the first phone; the others add ``.1``, ``.2`` and so on.
        phones: Which.
        speed: "high" or "super".

    Returns:
        Failure if the other side broke rules of the mux protocol.

    Raises:
        UsbmuxError: This system has no Unix sockets.
        OSError: A socket cannot be made.
    """
    if sys.platform == "win32":
        raise UsbmuxError("phones are given to virtual machines at Unix sockets, which Python does not have here")
    for phone in phones:
        phone.options = replace(phone.options, max_packet_size=Speed(speed).max_packet_size)
    with asyncio.Runner() as runner:
        runner.run(_serve(path, phones, Speed(speed)))
    return judge(phones)


class Cable:
    """The way from a phone to its virtual machine, as a bus that it can leave by itself.

    Args:
        server: Where the machine finds the phone.
    """

    def __init__(self, server: UsbredirServer) -> None:
        self._server = server
        self._works: set[asyncio.Task[None]] = set()

    def plug(self, _: UsbFunction) -> None:
        """Let the machine have it, a moment later."""
        self._begin(self._server.plug())

    def unplug(self, _: UsbFunction) -> None:
        """Take it from the machine, a moment later."""
        self._begin(self._server.unplug())

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)


async def _serve(path: str, phones: Sequence[SimulatedPhone], speed: Speed) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        for index, phone in enumerate(phones):
            socket = f"{path}.{index}" if index else path
            server = await stack.enter_async_context(UsbredirServer(phone, speed=speed, is_plugged=False))
            phone.plug_into(Cable(server))
            await server.serve(UnixAddress(socket))
            name = f"phone{index}"
            qemu = f"-chardev socket,id={name},path={socket} -device usb-redir,chardev={name}"
            print(f"ready udid={phone.udid} speed={speed.value} socket={socket} qemu: {qemu}", flush=True)
        await ended.wait()
