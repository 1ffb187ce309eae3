from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.relay.scripted_daemon import ScriptedDaemon, count_then_answer, echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_phone_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USBMUX_UDID", raising=False)


@pytest_asyncio.fixture
async def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedDaemon]:
    """A started daemon without phones, the default one; port 7 echoes, port 9 answers after the end of the request."""
    async with ScriptedDaemon(tmp_path / "mux") as scripted:
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", scripted.address)
        scripted.ports |= {7: echo, 9: count_then_answer}
        yield scripted
