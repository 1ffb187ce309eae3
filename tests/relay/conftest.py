from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.relay.scripted_daemon import ScriptedDaemon, count_then_answer, echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[ScriptedDaemon]:
    """A started daemon without phones; port 7 echoes, port 9 answers after the end of the request."""
    async with ScriptedDaemon(tmp_path / "mux") as scripted:
        scripted.ports |= {7: echo, 9: count_then_answer}
        yield scripted
