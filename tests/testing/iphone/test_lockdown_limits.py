"""How many hosts lockdown serves, and how long it waits for one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.testing.iphone.host import LockdownClient, TestHost
from tests.testing.iphone.services.scene import Host, MemoryStream
from usbmux import Client
from usbmux.errors import RemoteProtocolError
from usbmux.testing import RunningDaemon
from usbmux.testing.iphone import LOCKDOWN_PORT, VirtualIPhone

WITHIN_S = 30.0


def connected() -> tuple[Host, MemoryStream]:
    host, device = Host(65536), MemoryStream()
    host.peer, device.peer = device, host
    return host, device


@pytest.mark.asyncio
async def test_host_without_session_that_asks_nothing_is_ended() -> None:
    lockdown = VirtualIPhone().lockdown
    lockdown.idle_s = 0.05
    _, device = connected()
    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(RemoteProtocolError, match=r"no request for 0\.05 s"):
            await lockdown(device)
    assert lockdown.connection_count == 0


@pytest.mark.asyncio
async def test_host_that_sends_half_a_request_is_ended_too() -> None:
    lockdown = VirtualIPhone().lockdown
    lockdown.idle_s = 0.05
    host, device = connected()
    await host.write(b"\0\0\1")
    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(RemoteProtocolError, match="no request"):
            await lockdown(device)


@pytest.mark.asyncio
async def test_host_beyond_the_last_that_there_is_room_for_is_refused_until_one_ends() -> None:
    lockdown = VirtualIPhone().lockdown
    lockdown.max_connections = 1
    host, device = connected()
    serving = asyncio.create_task(lockdown(device))
    assert (await host.ask({"Request": "QueryType"}))["Type"] == "com.apple.mobile.lockdown"
    assert lockdown.connection_count == 1
    with pytest.raises(RemoteProtocolError, match="serves 1 connections already"):
        await lockdown(connected()[1])
    host.end()
    with suppress(RemoteProtocolError):
        await serving
    assert lockdown.connection_count == 0


def test_host_in_a_session_may_be_silent() -> None:
    host, phone = TestHost(), VirtualIPhone()
    with RunningDaemon([phone]) as daemon:
        stream = Client(daemon.address).connect(phone.udid, LOCKDOWN_PORT)
        stream.settimeout(WITHIN_S)
        with LockdownClient(stream) as lockdown:
            lockdown.pair(host)
            lockdown.start_session(host)
            phone.lockdown.idle_s = 0.0  # those that wait for a request from now on wait for none
            assert lockdown.value("UniqueDeviceID") == phone.udid
            assert lockdown.value("UniqueDeviceID") == phone.udid
