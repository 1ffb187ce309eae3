"""com.apple.mobile.diagnostics_relay over a stream in memory."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.testing.iphone.services.scene import VALUES, Phone, Values, served
from usbmux.testing.iphone.services.diagnostics_relay import DiagnosticsRelay, PowerAction

BATTERY = "com.apple.mobile.battery"


async def ask(message: Mapping[str, object], values: Mapping[tuple[str | None, str], object] = VALUES) -> object:
    """What the phone says of itself when it is asked."""
    async with served(DiagnosticsRelay(), Phone(identity=Values(values))) as host:
        answer = await host.ask(message)
    assert answer["Status"] == "Success"
    return answer["Diagnostics"]


async def ask_battery(values: Mapping[tuple[str | None, str], object] = VALUES) -> Mapping[str, Any]:
    report = await ask({"Request": "IORegistry", "EntryClass": "IOPMPowerSource"}, values)
    assert isinstance(report, dict)
    battery: Mapping[str, Any] = report["IORegistry"]
    return battery


@pytest.mark.asyncio
async def test_battery_as_charged_as_lockdown_says() -> None:
    battery = await ask_battery()
    assert battery["CurrentCapacity"] == 87
    assert battery["IsCharging"] is True
    assert battery["InstantAmperage"] == 900
    assert battery["AppleRawCurrentCapacity"] == 2945 * 87 // 100
    assert not battery["FullyCharged"]
    assert not battery["AtWarnLevel"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("percent", "full", "warned", "critical"),
    [(100, True, False, False), (9, False, True, False), (4, False, True, True), (None, True, False, False)],
)
async def test_battery_levels_full_low_and_unknown(percent: object, full: bool, warned: bool, critical: bool) -> None:
    battery = await ask_battery({(BATTERY, "BatteryCurrentCapacity"): percent})
    assert (battery["FullyCharged"], battery["AtWarnLevel"], battery["AtCriticalLevel"]) == (full, warned, critical)
    assert battery["InstantAmperage"] == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("percent", [-1, 101, "87"])
async def test_battery_percentage_that_is_none_taken_for_full(percent: object) -> None:
    assert (await ask_battery({(BATTERY, "BatteryCurrentCapacity"): percent}))["CurrentCapacity"] == 100


@pytest.mark.asyncio
async def test_battery_has_all_that_tidevice_prints() -> None:
    battery = await ask_battery({(None, "SerialNumber"): "F1", (None, "TimeIntervalSince1970"): 1000.5})
    assert (battery["Serial"], battery["UpdateTime"]) == ("BF1", 1000)
    assert isinstance(battery["BootVoltage"], int)
    assert {"Watts", "Voltage"} <= battery["AdapterDetails"].keys()


@pytest.mark.asyncio
@pytest.mark.parametrize("time", [None, float("inf"), float("nan"), -1.0, 1 << 63, "noon"])
async def test_battery_under_a_clock_that_is_odd_was_measured_at_some_time(time: object) -> None:
    assert (await ask_battery({(None, "TimeIntervalSince1970"): time}))["UpdateTime"] == 0


@pytest.mark.asyncio
async def test_registry_entry_by_name_or_class() -> None:
    by_class = await ask({"Request": "IORegistry", "EntryClass": "IO80211Interface"})
    by_name = await ask({"Request": "IORegistry", "EntryName": "AppleBCMWLANSkywalkInterface"})
    assert by_class == by_name
    assert by_class == {"IORegistry": {"IOInterfaceName": "en0", "IOMACAddress": b"\x0a\x1b\x2c\x3d\x4e\x5f"}}


@pytest.mark.asyncio
@pytest.mark.parametrize("address", ["nonsense", 5])
async def test_wifi_address_that_is_none_empty(address: object) -> None:
    report = await ask({"Request": "IORegistry", "EntryClass": "IO80211Interface"}, {(None, "WiFiAddress"): address})
    assert report == {"IORegistry": {"IOInterfaceName": "en0", "IOMACAddress": b""}}


@pytest.mark.asyncio
@pytest.mark.parametrize("plane", [{"CurrentPlane": "IOService"}, {"CurrentPlane": ""}, {}])
async def test_registry_plane_its_root(plane: dict[str, str]) -> None:
    report = await ask({"Request": "IORegistry", **plane})
    assert report == {"IORegistry": {"name": "Root", "children": [{"name": "N104AP", "children": []}]}}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "choice",
    [{"EntryName": "disk0"}, {"EntryClass": "IONothing"}, {"CurrentPlane": "IOCheese"}, {"CurrentPlane": ["IOPower"]}],
)
async def test_registry_entry_that_is_not_there_nothing(choice: dict[str, object]) -> None:
    assert await ask({"Request": "IORegistry", **choice}) == {}


@pytest.mark.asyncio
async def test_all_reports_and_each_alone() -> None:
    everything = await ask({"Request": "All"})
    assert isinstance(everything, dict)
    assert set(everything) == {"GasGauge", "HDMI", "NAND", "WiFi"}
    for name, report in everything.items():
        assert report["Status"] == "Success"
        assert await ask({"Request": name}) == {name: report}


@pytest.mark.asyncio
async def test_gestalt_values_that_there_are() -> None:
    keys = ["DeviceName", "ProductVersion", "Nowhere", 5, ["x"]]
    report = await ask({"Request": "MobileGestalt", "MobileGestaltKeys": keys})
    expected = {"DeviceName": "Ann's iPhone", "ProductVersion": "16.7.2", "Status": "Success"}
    assert report == {"MobileGestalt": expected}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("17.3.1", "Success"),
        ("17.4", "MobileGestaltDeprecated"),
        ("26.0", "MobileGestaltDeprecated"),
        ("seventeen", "Success"),
        (None, "Success"),
    ],
)
async def test_gestalt_newer_phones_tell_nothing(version: object, status: str) -> None:
    request = {"Request": "MobileGestalt", "MobileGestaltKeys": "DeviceName"}
    assert await ask(request, {(None, "ProductVersion"): version}) == {"MobileGestalt": {"Status": status}}


@pytest.mark.asyncio
@pytest.mark.parametrize("action", PowerAction)
async def test_power_action_done_after_the_connection_has_ended(action: PowerAction) -> None:
    done: list[PowerAction] = []
    phone = Phone()
    with phone.log.open_mailbox() as log:
        async with served(DiagnosticsRelay(done.append), phone) as host:
            assert await host.ask({"Request": action.value, "WaitForDisconnect": True}) == {"Status": "Success"}
            assert done == []
        assert done == [action]
        assert (await log.receive()).items[0].message == f"a host asks the phone: {action.value}"


@pytest.mark.asyncio
async def test_power_actions_asked_for_after_one_another_the_last_done_at_goodbye() -> None:
    done: list[PowerAction] = []
    async with served(DiagnosticsRelay(done.append)) as host:
        await host.ask({"Request": "Sleep"})
        await host.ask({"Request": "Restart"})
        assert await host.ask({"Request": "Goodbye"}) == {"Status": "Success"}
        assert await host.is_left()
        assert done == [PowerAction.RESTART]


@pytest.mark.asyncio
async def test_power_action_nobody_carries_out_refused() -> None:
    async with served(DiagnosticsRelay()) as host:
        assert await host.ask({"Request": "Restart"}) == {"Status": "Failure"}


@pytest.mark.asyncio
@pytest.mark.parametrize("message", [{"Request": "Dance"}, {"Request": 5}, {"Request": ["All"]}, {}])
async def test_other_request_unknown(message: dict[str, object]) -> None:
    async with served(DiagnosticsRelay()) as host:
        assert await host.ask(message) == {"Status": "UnknownRequest"}
