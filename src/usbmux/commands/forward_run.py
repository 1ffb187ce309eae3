"""``usbmux forward`` in the foreground: from what was typed to a forwarder."""

import asyncio
import os
from contextlib import closing
from pathlib import Path

from usbmux.client.aio import AsyncClient
from usbmux.commands.connect import join_with_stdio
from usbmux.commands.forward_report import ForwardReport, ReportStyle
from usbmux.commands.forwarding import ForwardingOptions, run_forwarding
from usbmux.commands.service_manager import ServiceManager
from usbmux.errors import AddressError
from usbmux.relay.dialer import Dialer
from usbmux.relay.forward_pair import ForwardPair, Stdio
from usbmux.relay.route import LOOPBACK
from usbmux.relay.routing import routing_of
from usbmux.tls_front import TlsSettings
from usbmux.values import frozen


@frozen
class ForwardRun:
    """What was typed."""

    program: str
    address: str | None
    pairs: tuple[str, ...]
    udids: tuple[str, ...]
    hosts: tuple[str, ...]
    wait_s: float
    serves_once: bool
    tls_files: tuple[str, ...]
    """Certificate, key and the clients' authorities; or nothing."""
    only_ready: bool
    as_json: bool
    is_verbose: bool


def forward(run: ForwardRun) -> int:
    """Forward until the end, and return the exit code.

    Raises:
        AddressError: A pair is wrong, or they do not go together.
        UsbmuxError, OSError: See `run_forwarding`.
    """
    if "" in run.udids:  # a variable that is not set, and nobody's beginning
        raise AddressError("the UDID of the phone is empty")
    pairs = [ForwardPair.parse(pair) for pair in run.pairs]
    if any(isinstance(pair.local, Stdio) for pair in pairs):
        return _forward_stdio(run, pairs)
    manager = ServiceManager(os.environ)
    handed = {name: each.sock for each in manager.sockets for name in (each.name, str(each.sock.fileno()))}
    routing = routing_of(pairs, run.udids, run.hosts or LOOPBACK, handed)
    options = ForwardingOptions(
        program=run.program,
        routing=routing,
        address=run.address,
        wait_s=run.wait_s,
        report=ForwardReport(run.program, _style(run), routing.row),
        is_verbose=run.is_verbose,
        serves_once=run.serves_once,
        tls=TlsSettings(*map(Path, run.tls_files)) if run.tls_files else None,
    )
    with closing(manager):
        return run_forwarding(options, on_ready=lambda: manager.notify("READY=1"))


def _style(run: ForwardRun) -> ReportStyle:
    if run.as_json:
        return ReportStyle.JSON
    return ReportStyle.READY if run.only_ready else ReportStyle.LINES


def _forward_stdio(run: ForwardRun, pairs: list[ForwardPair]) -> int:
    """Stdout belongs to the phone, so nothing else is told there."""
    if len(pairs) > 1 or len(run.udids) > 1 or run.as_json or run.only_ready or run.tls_files:
        raise AddressError("-: standard input and output go with one pair and one phone, and with no other output")
    udid = run.udids[0] if run.udids else None
    dialer = Dialer(AsyncClient(run.address, program=run.program), wait_s=run.wait_s)
    return join_with_stdio(run.program, lambda: asyncio.run(dialer.dial(udid, pairs[0].remote.first)), None)
