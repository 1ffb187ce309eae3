"""Running a `Forwarder` as a command: what ``tcprelay`` and ``usbmux forward`` share.

On stdout stands one line for each bound port, in this stable form, all of them at once when everything is ready::

    listening address=127.0.0.1 port=40123 device_port=22 udid=any

`udid` is what was asked for, or ``any`` for the only phone. The same in words, and everything else, goes to stderr.
SIGINT ends the command with 130, SIGTERM with 0.
"""

import asyncio
import logging
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass

from usbmux.client.aio import AsyncClient
from usbmux.commands.exits import ExitCode
from usbmux.direct_loop import new_event_loop
from usbmux.relay.forwarder import Forwarder, ListeningPort
from usbmux.relay.mapping import PortMapping


@dataclass(frozen=True, slots=True)
class ForwardingOptions:
    """What the command line said."""

    program: str
    """Begins every line on stderr."""
    mappings: tuple[PortMapping, ...]
    address: str | None
    udid: str | None
    listen_addresses: tuple[str, ...]
    wait_s: float
    buffer_size: int
    is_verbose: bool


def run_forwarding(options: ForwardingOptions) -> int:
    """Forward until a signal comes; return the exit code."""
    logging.basicConfig(
        stream=sys.stderr,
        format=f"{options.program}: %(message)s",
        level=logging.INFO if options.is_verbose else logging.WARNING,
    )
    _raise_descriptor_limit()
    # The relay needs add_reader, which the default loop of Windows lacks.
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_forward(options))


async def _forward(options: ForwardingOptions) -> int:
    stopped = _stop_signal()
    async with Forwarder(
        AsyncClient(options.address, program=options.program),
        options.mappings,
        udid=options.udid,
        listen_addresses=options.listen_addresses,
        wait_s=options.wait_s,
        buffer_size=options.buffer_size,
    ) as forwarder:
        for listening in forwarder.listening_ports:
            print(f"{options.program}: {_sentence(listening, options.udid)}", file=sys.stderr, flush=True)
        print("\n".join(_machine_line(listening, options.udid) for listening in forwarder.listening_ports), flush=True)
        return await stopped


def _stop_signal() -> asyncio.Future[int]:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def stop(code: ExitCode) -> None:
        if not stopped.done():
            stopped.set_result(code)

    try:
        loop.add_signal_handler(signal.SIGINT, stop, ExitCode.INTERRUPTED)
        loop.add_signal_handler(signal.SIGTERM, stop, ExitCode.OK)
    except NotImplementedError:
        pass  # Windows: the runner turns Ctrl-C into KeyboardInterrupt
    return stopped


def _machine_line(listening: ListeningPort, udid: str | None) -> str:
    return (
        f"listening address={listening.address} port={listening.port} "
        f"device_port={listening.device_port} udid={udid or 'any'}"
    )


def _sentence(listening: ListeningPort, udid: str | None) -> str:
    host = f"[{listening.address}]" if ":" in listening.address else listening.address
    phone = f"the phone {udid}" if udid else "the only phone"
    return f"{host}:{listening.port} on this computer leads to port {listening.device_port} of {phone}"


def _raise_descriptor_limit() -> None:
    # Each connection takes two descriptors, and the usual soft limit of 1024 is there for select() only.
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems name a hard limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
