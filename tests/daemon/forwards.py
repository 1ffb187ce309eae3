"""A daemon's kept forwards, asked for and used."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

from tests.daemon.harness import UDID, RawClient

if TYPE_CHECKING:
    from tests.daemon.harness import Harness

Answer = dict[str, Any]


async def ask(harness: Harness, **request: object) -> Answer:
    admin = await harness.admin()
    await admin.send(json.dumps(request).encode() + b"\n")
    answer: Answer = json.loads(await admin.receive_line())
    admin.close()
    return answer


async def add(harness: Harness, listen: str = "127.0.0.1:0", port: int = 7, udid: str | None = UDID) -> str:
    """Where it listens."""
    wanted = {"listen": listen, "port": port, "udid": udid}
    answer = await ask(harness, command="forward-add", forwards=[wanted])
    assert answer["ok"], answer
    (kept,) = answer["forwards"]
    return str(kept["listen"])


async def all_kept(harness: Harness) -> list[Answer]:
    found: list[Answer] = (await ask(harness, command="forward-list"))["forwards"]
    return found


async def program_by(harness: Harness, listen: str) -> RawClient:
    """A program that comes by the forward."""
    family = socket.AF_UNIX if listen.startswith("unix:") else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    program = RawClient(sock)
    harness.clients.append(program)
    host, _, port = listen.partition(":")
    await asyncio.get_running_loop().sock_connect(sock, port if family == socket.AF_UNIX else (host, int(port)))
    return program
