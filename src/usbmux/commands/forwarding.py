"""Running a `Forwarder` as a command: what ``tcprelay``, ``usbmux forward`` and ``iproxy`` share.

On stdout stands one line for each bound end, in this stable form, all of them at once when everything is ready::

    listening address=127.0.0.1 port=40123 device_port=22 udid=any

`udid` is what was asked for, ``any`` for the only phone, or ``later`` where a range leads to whatever phones come; then
a line that begins with ``phone`` says of each who it is. A Unix socket has ``path=`` in the place of address and port.
The same in words, and everything else, goes to stderr. SIGUSR1 has the statistics written, which also come at the end.
SIGINT ends the command with 130, SIGTERM and SIGHUP with 0; begun under nohup, SIGHUP does nothing.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from usbmux.client.aio import AsyncClient
from usbmux.commands.exits import ExitCode
from usbmux.commands.forward_report import Report
from usbmux.direct_loop import new_event_loop
from usbmux.relay.forwarder import DEFAULT_BUFFER_SIZE, Forwarder
from usbmux.relay.routing import Routing
from usbmux.tls_front import TlsSettings, server_context
from usbmux.values import frozen


@frozen
class ForwardingOptions:
    """What the command line said."""

    program: str
    """Begins every line on stderr."""
    routing: Routing
    address: str | None
    wait_s: float
    report: Report
    buffer_size: int = DEFAULT_BUFFER_SIZE
    is_verbose: bool = False
    serves_once: bool = False
    tls: TlsSettings | None = None


def run_forwarding(options: ForwardingOptions, on_ready: Callable[[], None] = lambda: None) -> int:
    """Forward until a signal comes; return the exit code.

    Args:
        options: What and how.
        on_ready: Called when all ends listen.

    Raises:
        ConfigurationError: A file for TLS is not what it should be.
        UsbmuxError, OSError: An end cannot be bound; or the only connection was not made.
    """
    logging.basicConfig(
        stream=sys.stderr,
        format=f"{options.program}: %(message)s",
        level=logging.INFO if options.is_verbose else logging.WARNING,
    )
    raise_descriptor_limit()
    # The relay needs add_reader, which the default loop of Windows lacks.
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_forward(options, on_ready))


async def _forward(options: ForwardingOptions, on_ready: Callable[[], None]) -> int:
    stopped = _stop_signal()
    report = options.report
    async with Forwarder(
        AsyncClient(options.address, program=options.program),
        options.routing.routes,
        row=options.routing.row,
        on_phone=report.phone,
        wait_s=options.wait_s,
        buffer_size=options.buffer_size,
        tls=None if options.tls is None else server_context(options.tls),
        serves_once=options.serves_once,
    ) as forwarder:
        _on_statistics_signal(partial(report.statistics, forwarder.ends))
        report.ready(forwarder.listening_ports)
        on_ready()
        try:
            return await (_until_served(forwarder, stopped) if options.serves_once else stopped)
        finally:
            report.statistics(forwarder.ends)


async def _until_served(forwarder: Forwarder, stopped: asyncio.Future[int]) -> int:
    served = asyncio.ensure_future(forwarder.wait_served())
    try:
        await asyncio.wait((served, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not served.done():
            return stopped.result()
        served.result()
        return ExitCode.OK
    finally:
        served.cancel()


def _stop_signal() -> asyncio.Future[int]:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def stop(code: ExitCode) -> None:
        if not stopped.done():
            stopped.set_result(code)

    try:
        loop.add_signal_handler(signal.SIGINT, stop, ExitCode.INTERRUPTED)
        loop.add_signal_handler(signal.SIGTERM, stop, ExitCode.OK)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            loop.add_signal_handler(signal.SIGHUP, stop, ExitCode.OK)
    except NotImplementedError:
        pass  # Windows: the runner turns Ctrl-C into KeyboardInterrupt
    return stopped


def _on_statistics_signal(write: Callable[[], None]) -> None:
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, write)


def raise_descriptor_limit() -> None:
    """Each connection takes two descriptors, and the usual soft limit of 1024 is there for select() only."""
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems name a hard limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
