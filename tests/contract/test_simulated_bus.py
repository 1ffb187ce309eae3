"""The contract of the bus, kept by the one in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.contract import bus_suite, candidate_suite, pipe_end_suite, pipe_suite

# Every test of the suites, so that none is forgotten.
from tests.contract.bus_suite import *  # noqa: F403
from tests.contract.candidate_suite import *  # noqa: F403
from tests.contract.pipe_end_suite import *  # noqa: F403
from tests.contract.pipe_suite import *  # noqa: F403
from usbmux.usb.simulated import SimulatedBus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from usbmux.usb.function import UsbFunction


class SimulatedRig:
    """A `Rig` around a `SimulatedBus`."""

    def __init__(self) -> None:
        self.bus = SimulatedBus()

    def plug(self, function: UsbFunction) -> None:
        self.bus.plug(function)

    def unplug(self, function: UsbFunction) -> None:
        self.bus.unplug(function)


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[SimulatedRig]:
    simulated = SimulatedRig()
    yield simulated
    await simulated.bus.close()


def test_suites_imported_no_test_hides_another() -> None:
    suites = (bus_suite, candidate_suite, pipe_suite, pipe_end_suite)
    names = [name for suite in suites for name in vars(suite) if name.startswith("test_")]

    assert len(names) == len(set(names))
