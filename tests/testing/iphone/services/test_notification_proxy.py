"""The notification proxies over a stream in memory."""

import pytest

from tests.testing.iphone.services.scene import Host, Phone, served, settle
from usbmux.testing.iphone.services.hub import Hub
from usbmux.testing.iphone.services.notification_proxy import (
    MAX_NAME_LENGTH,
    MAX_OBSERVED,
    insecure_notification_proxy,
    notification_proxy,
)

PAIR = "com.apple.mobile.lockdown.request_pair"
BUID = "com.apple.mobile.lockdown.request_host_buid"
SYNC = "com.apple.itunes-client.syncCancelRequest"


async def observe(host: Host, *names: str) -> None:
    for name in names:
        await host.send({"Command": "ObserveNotification", "Name": name})
    await settle()


def relayed(name: str) -> dict[str, str]:
    return {"Command": "RelayNotification", "Name": name}


@pytest.mark.asyncio
@pytest.mark.parametrize("proxy", [notification_proxy, insecure_notification_proxy])
async def test_observed_notification_posted_relayed(proxy: type) -> None:
    phone = Phone()
    async with served(proxy, phone) as host:
        await observe(host, PAIR, BUID)
        phone.notifications.post(BUID)
        phone.notifications.post(SYNC)
        phone.notifications.post(PAIR)
        assert [await host.receive(), await host.receive()] == [relayed(BUID), relayed(PAIR)]


@pytest.mark.asyncio
async def test_notification_posted_before_it_is_observed_not_relayed() -> None:
    phone = Phone()
    async with served(notification_proxy, phone) as host:
        await settle()
        phone.notifications.post(PAIR)
        await observe(host, PAIR)
        phone.notifications.post(PAIR)
        await settle()
        await host.send({"Command": "Shutdown"})
        assert [await host.receive(), await host.receive()] == [relayed(PAIR), {"Command": "ProxyDeath"}]


@pytest.mark.asyncio
async def test_notification_observed_twice_relayed_once() -> None:
    phone = Phone()
    async with served(notification_proxy, phone) as host:
        await observe(host, PAIR, PAIR)
        phone.notifications.post(PAIR)
        await settle()
        await host.send({"Command": "Shutdown"})
        assert [await host.receive(), await host.receive()] == [relayed(PAIR), {"Command": "ProxyDeath"}]


@pytest.mark.asyncio
async def test_host_posts_phone_and_other_hosts_are_told() -> None:
    phone = Phone()
    with phone.notifications.open_mailbox() as mailbox:
        async with served(notification_proxy, phone) as one, served(notification_proxy, phone) as other:
            await observe(other, SYNC)
            await one.send({"Command": "PostNotification", "Name": SYNC})
            assert await other.receive() == relayed(SYNC)
            assert (await mailbox.receive()).items == (SYNC,)


@pytest.mark.asyncio
async def test_insecure_proxy_other_names_neither_posted_nor_observed() -> None:
    phone = Phone()
    with phone.notifications.open_mailbox() as mailbox:
        async with served(insecure_notification_proxy, phone) as host:
            await observe(host, SYNC)
            for name in (SYNC, PAIR):
                await host.send({"Command": "PostNotification", "Name": name})
            phone.notifications.post(SYNC)
            await settle()
            assert await host.ask({"Command": "Shutdown"}) == {"Command": "ProxyDeath"}
        assert (await mailbox.receive()).items == (SYNC, PAIR)


@pytest.mark.asyncio
async def test_shutdown_answered_and_left() -> None:
    phone = Phone()
    async with served(notification_proxy, phone) as host:
        assert await host.ask({"Command": "Shutdown"}) == {"Command": "ProxyDeath"}
        assert await host.is_left()
    assert phone.notifications.reader_count == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "message",
    [
        {"Command": "SetNotificationState", "Name": PAIR, "State": 1},
        {"Command": "ObserveNotification"},
        {"Command": "PostNotification", "Name": 5},
        {"Command": ["Shutdown"]},
        {},
    ],
)
async def test_other_message_ignored(message: dict[str, object]) -> None:
    async with served(notification_proxy) as host:
        await host.send(message)
        assert await host.ask({"Command": "Shutdown"}) == {"Command": "ProxyDeath"}


@pytest.mark.asyncio
async def test_too_many_observed_connection_ended() -> None:
    async with served(notification_proxy) as host:
        await observe(host, *(f"name {index}" for index in range(MAX_OBSERVED)), "name 0")
        assert host.blames == []
        await observe(host, "one more")
        assert await host.is_left()
    assert host.blames == ["more than 1000 notifications are observed"]


@pytest.mark.asyncio
@pytest.mark.parametrize("command", ["ObserveNotification", "PostNotification"])
async def test_name_too_long_connection_ended(command: str) -> None:
    async with served(notification_proxy) as host:
        await host.send({"Command": command, "Name": "x" * MAX_NAME_LENGTH})
        await settle()
        assert host.blames == []
        await host.send({"Command": command, "Name": "x" * (MAX_NAME_LENGTH + 1)})
        assert await host.is_left()
    assert host.blames == ["the name of a notification has 1025 characters"]


@pytest.mark.asyncio
async def test_slow_host_oldest_notifications_lost() -> None:
    phone = Phone(notifications=Hub(capacity=2))
    async with served(notification_proxy, phone, window=16) as host:
        await observe(host, "0", "1", "2", "3", "4")
        phone.notifications.post("0")
        await settle()
        for name in ("1", "2", "3", "4"):
            phone.notifications.post(name)
        assert [(await host.receive())["Name"] for _ in range(3)] == ["0", "3", "4"]


@pytest.mark.asyncio
async def test_shutdown_while_a_notification_is_sent_death_comes_after_it() -> None:
    phone = Phone()
    async with served(notification_proxy, phone, window=400) as host:
        await observe(host, PAIR)
        phone.notifications.post(PAIR)
        phone.notifications.post(PAIR)
        await settle()
        await host.send({"Command": "Shutdown"})
        await settle()
        messages = [await host.receive(), await host.receive()]
        assert messages == [relayed(PAIR), relayed(PAIR)]
        assert await host.receive() == {"Command": "ProxyDeath"}
