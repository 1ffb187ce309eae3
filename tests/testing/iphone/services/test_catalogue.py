"""Every service by its name, and what hosts may send to it."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.testing.iphone.services.scene import Phone, served, settle
from usbmux.control.property_list import dump
from usbmux.testing.iphone.services.catalogue import default_services
from usbmux.testing.iphone.services.diagnostics_relay import PowerAction
from usbmux.testing.iphone.services.log_entry import LogEntry

NAMES = sorted(default_services())
WORDS = [
    *("Browse", "Lookup", "IORegistry", "MobileGestalt", "All", "Restart", "Goodbye", "StartActivity", "PidList"),
    *("ObserveNotification", "PostNotification", "Shutdown", "LookupImage", "ReceiveBytes", "Hangup", "Pong"),
    *("DLMessageVersionExchange", "DLVersionsOk", "DLMessageProcessMessage", "DLMessageDisconnect"),
]
KEYS = ["Command", "Request", "Name", "ClientOptions", "ApplicationType", "BundleIDs", "ReturnAttributes", "Pid"]
KEYS += ["MessageFilter", "StreamFlags", "EntryName", "EntryClass", "CurrentPlane", "MobileGestaltKeys", "MessageType"]

leaves = st.sampled_from(WORDS) | st.integers(-(2**63), 2**64 - 1) | st.booleans() | st.binary() | st.just("")
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner), max_leaves=5
)
requests = st.dictionaries(st.sampled_from(KEYS), values) | st.fixed_dictionaries(
    {"Command": st.sampled_from(WORDS), "Request": st.sampled_from(WORDS)},
    optional={key: values for key in KEYS[2:]},
)
messages = requests | st.lists(values, max_size=3).map(lambda tail: ["DLMessageVersionExchange", *tail])


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


@pytest.mark.asyncio
async def test_diagnostics_by_name_carries_out_what_it_was_given() -> None:
    done: list[PowerAction] = []
    async with served(default_services(done.append)["com.apple.mobile.diagnostics_relay"]) as host:
        await host.ask({"Request": "Restart"})
    assert done == [PowerAction.RESTART]


@pytest.mark.asyncio
async def test_insecure_proxy_by_name_tells_less() -> None:
    services, phone = default_services(), Phone()
    told = []
    for name in ("com.apple.mobile.insecure_notification_proxy", "com.apple.mobile.notification_proxy"):
        async with served(services[name], phone) as host:
            await host.send({"Command": "ObserveNotification", "Name": "secret"})
            await settle()
            phone.notifications.post("secret")
            await settle()
            await host.send({"Command": "Shutdown"})
            told.append((await host.receive())["Command"])
    assert told == ["ProxyDeath", "RelayNotification"]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", NAMES)
async def test_host_ends_at_once_service_ends(name: str) -> None:
    async with served(default_services()[name]):
        pass


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(sent=st.lists(messages, max_size=4), binary=st.booleans())
def test_any_messages_answered_or_held_against_the_host(name: str, sent: list[object], binary: bool) -> None:
    data = b"".join(framed(dump(message, binary=binary)) for message in sent if isinstance(message, dict | list))
    asyncio.run(send_all(name, data))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(data=st.binary(max_size=64))
def test_any_bytes_harmless(name: str, data: bytes) -> None:
    asyncio.run(send_all(name, data))


async def send_all(name: str, data: bytes) -> None:
    phone = Phone()
    async with served(default_services()[name], phone, window=1 << 20) as host:
        await host.write(data)
        await settle()
        phone.log.post(LogEntry("x"))
        phone.notifications.post("x")
        await settle()
    assert phone.log.reader_count == phone.notifications.reader_count == 0
