"""A client of lockdown outlives that its phone is unplugged, and comes back under another device id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lockdown.subjects import Subject
from usbmux.errors import DeviceNotFoundError, DeviceResetError
from usbmux.testing import RunningDaemon
from usbmux.testing.iphone import Identity, VirtualIPhone

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

PHONE = Identity(device_name="Ada")
OTHER = Identity(udid="00008110-000A3C1E0C01801E", device_name="Grace")


class Bench:
    """A phone behind a daemon, and a client that has asked it."""

    def __init__(self, runner: asyncio.Runner | None, daemon: RunningDaemon, phone: VirtualIPhone) -> None:
        self.daemon = daemon
        self.phone = phone
        self.subject = Subject(runner, daemon.address, 20.0)
        assert self.name() == "Ada"

    def name(self) -> object:
        return self.subject.call(lambda lockdown: lockdown.value("DeviceName"))

    def unplug(self) -> None:
        with self.subject.client.watch() as watch:
            next(watch)
            self.daemon.unplug(self.phone)
            next(watch)
        with pytest.raises(DeviceResetError):
            self.name()

    def plug(self, phone: VirtualIPhone) -> None:
        with self.subject.client.watch() as watch:
            self.daemon.plug(phone)
            next(watch)


@pytest.fixture
def bench(runner: asyncio.Runner | None) -> Iterator[Bench]:
    phone = VirtualIPhone(PHONE)
    with RunningDaemon([phone]) as daemon:
        bench = Bench(runner, daemon, phone)
        yield bench
        bench.subject.close()


def test_phone_that_came_back_is_asked_again(bench: Bench) -> None:
    bench.unplug()
    bench.plug(bench.phone)
    assert bench.name() == "Ada"


def test_phone_is_gone_another_one_is_not_taken_for_it(bench: Bench) -> None:
    bench.unplug()
    bench.plug(VirtualIPhone(OTHER))
    with pytest.raises(DeviceNotFoundError, match=OTHER.udid):
        bench.name()


def test_phone_is_gone_its_record_can_still_be_saved(bench: Bench) -> None:
    record = bench.subject.call(lambda lockdown: lockdown.pair())
    bench.unplug()
    bench.subject.call(lambda lockdown: lockdown.keep(record))
    assert bench.subject.client.read_pair_record(PHONE.udid) == record.to_bytes()
