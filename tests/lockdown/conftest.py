from __future__ import annotations

import asyncio
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.lockdown.subjects import Subject
from usbmux.testing import RunningDaemon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usbmux.testing.iphone import VirtualIPhone


class Dials(Protocol):
    def __call__(self, phone: VirtualIPhone, *, timeout_s: float = 20.0) -> Subject: ...


@pytest.fixture(params=["blocking", "asyncio"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner | None]:
    """What runs the shell that is tested; None for the one that needs nothing."""
    if request.param == "blocking":
        yield None
        return
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def dial(runner: asyncio.Runner | None) -> Iterator[Dials]:
    """Puts a phone behind a daemon; at the end nobody has broken a rule of the mux."""
    with ExitStack() as stack:
        daemons = []

        def dial(phone: VirtualIPhone, *, timeout_s: float = 20.0) -> Subject:
            daemon = stack.enter_context(RunningDaemon([phone.device]))
            daemons.append(daemon)
            return stack.enter_context(closing(Subject(runner, daemon.address, timeout_s)))

        yield dial
        assert [violation for daemon in daemons for violation in daemon.violations] == []
