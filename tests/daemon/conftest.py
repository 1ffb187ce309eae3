from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

import pytest_asyncio

from tests.daemon.harness import Harness
from tests.daemon.loop_clock import LoopClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    import pytest

    from usbmux.control.address import Address
    from usbmux.mux.settings import MuxSettings
    from usbmux.testing import SimulatedPhone


class Serve(Protocol):
    async def __call__(
        self,
        *phones: SimulatedPhone,
        addresses: Sequence[Address] = (),
        mux: MuxSettings | None = None,
        preflight: bool = False,
    ) -> Harness: ...


@pytest_asyncio.fixture
async def serve(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Serve]:
    """Starts daemons with the given phones; afterwards nothing may be left of them, nor of their clients.

    The loop logs an exception in a callback as an error of its own and goes on: here it fails the test.
    """
    loop = asyncio.get_running_loop()
    failures: list[str] = []
    loop.set_exception_handler(lambda _loop, context: failures.append(repr(context)))
    caplog.set_level(logging.DEBUG, "usbmux")
    harnesses: list[Harness] = []

    async def start(
        *phones: SimulatedPhone,
        addresses: Sequence[Address] = (),
        mux: MuxSettings | None = None,
        preflight: bool = False,
    ) -> Harness:
        directory = tmp_path / str(len(harnesses))
        directory.mkdir()
        harness = Harness(directory, phones)
        harnesses.append(harness)
        await harness.start(addresses, mux, preflight=preflight)
        return harness

    yield start
    for harness in harnesses:
        await harness.stop()
    assert not failures


@pytest_asyncio.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    """The loop's clock, which the test moves on."""
    return LoopClock(monkeypatch)
