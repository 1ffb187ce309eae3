"""Hosts that restart, turn off, or otherwise send away a virtual iPhone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing.iphone.host import LockdownClient, TestHost
from usbmux import Client, DeviceAttached, DeviceDetached
from usbmux.testing import RunningDaemon
from usbmux.testing.iphone import LOCKDOWN_PORT, PowerAction, VirtualIPhone

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = TestHost()
DIAGNOSTICS = "com.apple.mobile.diagnostics_relay"


class Bench:
    """A virtual iPhone behind a daemon, and a host that has paired."""

    def __init__(self, daemon: RunningDaemon, phone: VirtualIPhone) -> None:
        self.client = Client(daemon.address)
        self.phone = phone

    def session(self) -> LockdownClient:
        lockdown = self._dial(LOCKDOWN_PORT)
        lockdown.start_session(HOST)
        return lockdown

    def pair(self) -> None:
        with self._dial(LOCKDOWN_PORT) as lockdown:
            assert "Error" not in lockdown.pair(HOST)

    def ask_diagnostics(self, request: str) -> object:
        with self.session() as lockdown:
            port = lockdown.request("StartService", Service=DIAGNOSTICS)["Port"]
        assert isinstance(port, int)
        with self._dial(port) as service:
            service.start_tls(HOST.context())
            return service.request(request, WaitForDisconnect=True)["Status"]

    def _dial(self, port: int) -> LockdownClient:
        stream = self.client.connect(self.phone.udid, port)
        stream.settimeout(30)
        return LockdownClient(stream)


@pytest.fixture
def bench() -> Iterator[Bench]:
    phone = VirtualIPhone(restart_s=0.0)
    with RunningDaemon([phone]) as daemon:
        bench = Bench(daemon, phone)
        bench.pair()
        yield bench
    assert daemon.violations == []


def test_restart_leaves_and_comes_back_and_still_trusts(bench: Bench) -> None:
    with bench.client.watch() as events:
        assert isinstance(next(events), DeviceAttached)
        assert bench.ask_diagnostics("Restart") == "Success"
        assert isinstance(next(events), DeviceDetached)
        assert isinstance(next(events), DeviceAttached)
    with bench.session() as lockdown:
        assert lockdown.value("UniqueDeviceID") == bench.phone.udid


@pytest.mark.parametrize("is_recovery", [False, True])
def test_shutdown_and_recovery_leave(bench: Bench, is_recovery: bool) -> None:
    with bench.client.watch() as events:
        assert isinstance(next(events), DeviceAttached)
        if is_recovery:
            with bench.session() as lockdown:
                assert lockdown.request("EnterRecovery")["Result"] == "Success"
                assert isinstance(next(events), DeviceDetached)
        else:
            assert bench.ask_diagnostics("Shutdown") == "Success"
            assert isinstance(next(events), DeviceDetached)
    assert bench.client.devices() == []


def test_sleep_leaves_the_phone_where_it_is(bench: Bench) -> None:
    assert bench.ask_diagnostics(PowerAction.SLEEP.value) == "Success"
    with bench.session() as lockdown:
        assert lockdown.value("UniqueDeviceID") == bench.phone.udid
