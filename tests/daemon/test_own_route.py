from __future__ import annotations

import plistlib
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import UDID
from usbmux.daemon.own_route import OwnRoute
from usbmux.errors import PairRecordNotFoundError, RequestError
from usbmux.testing import SimulatedPhone

if TYPE_CHECKING:
    from tests.daemon.conftest import Serve

pytestmark = pytest.mark.asyncio

RECORD = plistlib.dumps({"a": 1})


async def test_records_are_kept_as_those_of_clients(serve: Serve) -> None:
    harness = await serve(SimulatedPhone(UDID))
    await harness.attached()
    link = harness.daemon.registry.link(1)
    assert link is not None
    route = OwnRoute(harness.daemon.answerer, link, 1)
    listener = await harness.client()
    await listener.listen()
    await listener.receive_properties(0)
    assert await route.udid() == UDID
    with pytest.raises(PairRecordNotFoundError):
        await route.read_pair_record()
    await route.save_pair_record(RECORD)
    assert (await listener.receive_properties(0))["MessageType"] == "Paired"
    assert await route.read_pair_record() == RECORD
    with pytest.raises(RequestError, match="SavePairRecord failed: Invalid argument"):
        await route.save_pair_record(b"nonsense")
    await route.delete_pair_record()
    with pytest.raises(PairRecordNotFoundError):
        await route.delete_pair_record()
    assert await route.buid() == harness.daemon._pair_records.buid()
