"""A daemon in the test's own loop whose bus is traced, and a client that does the same at every call."""

from __future__ import annotations

import asyncio
import hashlib
import random
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from usbmux import AsyncClient
from usbmux.control.address import UnixAddress
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.server import Daemon
from usbmux.daemon.settings import DaemonSettings
from usbmux.errors import PortRefusedError
from usbmux.testing import PhoneOptions, SimulatedBus, SimulatedPhone, digest, echo, pattern, source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from usbmux.capture.trace_hub import TraceSink
    from usbmux.usb.function import UsbFunction

PATIENCE_S = 20.0
ECHO, SOURCE, DIGEST, CLOSED = 7, 19, 99, 8
SENT = random.Random(4).randbytes(300_000)
SOURCE_LENGTH = 200_001
HARD = PhoneOptions(split_transfers=1000, join_transfers=True, max_segment=65_500)
"""Transfers that end anywhere, and the longest packets that there are."""


def phone(version: int = 2, options: PhoneOptions | None = None) -> SimulatedPhone:
    return SimulatedPhone(ports={ECHO: echo, SOURCE: source, DIGEST: digest}, version=version, options=options)


@asynccontextmanager
async def serving(folder: Path, function: UsbFunction, *sinks: TraceSink) -> AsyncIterator[AsyncClient]:
    """A daemon with one phone; when the block ends, the streams do before the daemon does."""
    simulated = SimulatedBus()
    simulated.plug(function)
    path = str(folder / "usbmuxd")
    daemon = Daemon(
        DaemonSettings(listen=(ListenSettings(UnixAddress(path)),), pair_record_directory=folder / "records"),
        [simulated],
    )
    for sink in sinks:
        daemon.hub.add(sink)
    async with daemon, asyncio.timeout(PATIENCE_S):
        await daemon.wait_settled(PATIENCE_S)
        yield AsyncClient(path, timeout_s=PATIENCE_S)
        (device,) = daemon.registry
        # Nobody announces that the last handler has gone.
        while device.link.handlers:  # noqa: ASYNC110 - nobody announces that the last one has gone
            await asyncio.sleep(0)


async def ask(client: AsyncClient, port: int, request: bytes, length: int) -> bytes:
    """Send, and read so many bytes meanwhile."""
    reader, writer = await client.connect(None, port)
    writer.write(request)
    answer, _ = await asyncio.gather(reader.readexactly(length), writer.drain())
    writer.close()
    with suppress(ConnectionError):  # a phone that resets first
        await writer.wait_closed()
    return answer


async def use_every_port(client: AsyncClient) -> None:
    """What a recording and its replay do alike."""
    assert await ask(client, ECHO, SENT, len(SENT)) == SENT
    assert await ask(client, SOURCE, SOURCE_LENGTH.to_bytes(8), SOURCE_LENGTH) == pattern(SOURCE_LENGTH)
    refused = False
    try:
        await client.connect(None, CLOSED)
    except PortRefusedError:
        refused = True
    assert refused
    request = len(SENT).to_bytes(8) + SENT
    assert await ask(client, DIGEST, request, 32) == hashlib.sha256(SENT).digest()
