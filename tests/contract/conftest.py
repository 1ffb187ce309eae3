from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.client.scripted_server import ScriptedServer
from tests.client.subjects import ClientKind, Subject
from tests.support.unix_sockets import needs_unix_sockets
from usbmux.client.aio import AsyncClient
from usbmux.client.blocking import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=[pytest.param("unix", marks=needs_unix_sockets), "tcp"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ScriptedServer]:
    server = ScriptedServer.on_unix(tmp_path) if request.param == "unix" else ScriptedServer.on_tcp()
    yield server
    server.finish()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "asyncio"])
def kind(request: pytest.FixtureRequest) -> ClientKind:
    kind: ClientKind = request.param
    return kind


@pytest.fixture
def client(kind: ClientKind, server: ScriptedServer, runner: asyncio.Runner) -> Subject:
    return Subject(kind, runner, server.address)
