"""Our commands as processes, beside a daemon on the test's own event loop."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from subprocess import DEVNULL, PIPE
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WITHIN_S = 30.0
USBMUX = (sys.executable, "-m", "usbmux")
TCPRELAY = (sys.executable, "-c", "import sys; from usbmux.commands.start import tcprelay; sys.exit(tcprelay())")


def own_host() -> str:
    """A loopback address where nobody else looks for ports, another test run neither."""
    pid = os.getpid()
    return f"127.{1 + (pid >> 14) % 254}.{(pid >> 7) % 128}.{1 + pid % 128}"


@dataclass
class Outcome:
    code: int
    stdout: bytes
    stderr: str


async def run(command: tuple[str, ...], *arguments: str, stdin: bytes | IO[bytes] | int = DEVNULL) -> Outcome:
    """Run a command to its end, with bytes on a pipe, or a file, as its standard input."""
    async with asyncio.timeout(WITHIN_S):
        process = await asyncio.create_subprocess_exec(
            *command,
            *arguments,
            stdin=PIPE if isinstance(stdin, bytes) else stdin,
            stdout=PIPE,
            stderr=PIPE,
            env=_environment(),
        )
        stdout, stderr = await process.communicate(stdin if isinstance(stdin, bytes) else None)
    assert process.returncode is not None
    return Outcome(process.returncode, stdout, stderr.decode())


@asynccontextmanager
async def started(
    command: tuple[str, ...], *arguments: str, stdin: int = DEVNULL, stdout: int = PIPE
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a command that runs until it is told to end."""
    process = await asyncio.create_subprocess_exec(
        *command, *arguments, stdin=stdin, stdout=stdout, stderr=PIPE, env=_environment()
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        # Also ends the transports of its pipes.
        await process.communicate()


def _environment() -> dict[str, str]:
    # With it a missing flush, and what the interpreter does with a broken pipe at its end, would not show.
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


async def line_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    return (await stream.readline()).decode().rstrip("\n")


async def ask(where: str, request: bytes) -> bytes:
    """What comes back from ``host:port`` or a path, after the end of the request."""
    host, colon, port = where.rpartition(":")
    opening = asyncio.open_connection(host, int(port)) if colon else asyncio.open_unix_connection(where)
    async with asyncio.timeout(WITHIN_S):
        reader, writer = await opening
        writer.write(request)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
    return answer
