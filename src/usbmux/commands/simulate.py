"""``usbmux simulate``: simulated phones at sockets, for virtual machines."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

from usbmux.commands.exits import ExitCode, complain
from usbmux.control.address import UnixAddress
from usbmux.testing import SimulatedPhone, Speed, UsbredirServer, default_phones, load_phones

_PROGRAM: Final = "usbmux simulate"


def run_simulation(path: str, *, count: int, config: str | None, speed: str) -> int:
    """Serve phones until a signal ends it.

    Args:
        path: Socket of the first phone; the others add ``.1``, ``.2`` and so on.
        count: Number of phones, if there is no file.
        config: File that describes them.
        speed: "high" or "super".

    Returns:
        Failure if the other side broke rules of the mux protocol.

    Raises:
        UsbmuxError: The file cannot be understood.
        OSError: A socket cannot be made.
    """
    phones = default_phones(count) if config is None else load_phones(config)
    for phone in phones:
        phone.options = replace(phone.options, max_packet_size=Speed(speed).max_packet_size)
    with asyncio.Runner() as runner:
        runner.run(_serve(path, phones, Speed(speed)))
    violations = [f"{phone.udid}: {violation}" for phone in phones for violation in phone.violations]
    for violation in violations:
        complain(_PROGRAM, f"a rule was broken: {violation}")
    return ExitCode.FAILURE if violations else ExitCode.OK


async def _serve(path: str, phones: Sequence[SimulatedPhone], speed: Speed) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        for index, phone in enumerate(phones):
            socket = f"{path}.{index}" if index else path
            server = await stack.enter_async_context(UsbredirServer(phone, speed=speed))
            await server.serve(UnixAddress(socket))
            name = f"phone{index}"
            qemu = f"-chardev socket,id={name},path={socket} -device usb-redir,chardev={name}"
            print(f"ready udid={phone.udid} speed={speed.value} socket={socket} qemu: {qemu}", flush=True)
        await ended.wait()
