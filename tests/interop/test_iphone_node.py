"""Libraries for Node.js and a virtual iPhone; the scripts that use them are in `node/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.iphone_bench import NAME, IPhoneBench, Spelling
from tests.interop.programs import NPM, debian_program, node, npm_version
from usbmux.testing import echo

if TYPE_CHECKING:
    from tests.interop.compatibility import CompatibilityTable

pytestmark = pytest.mark.interop

SCRIPTS = Path(__file__).parent / "node"


def answered(bench: IPhoneBench, script: str, *arguments: str) -> Any:
    program, code = node(), (SCRIPTS / script).read_text()
    # Given as text, a script looks for libraries where it is started.
    printed = bench.printed(Spelling.APPIUM, program, "--eval", code, "--", *arguments, folder=NPM)
    return json.loads(printed.splitlines()[-1])


def test_usbmux_client_lists_asks_and_connects(stranger: IPhoneBench, compatibility: CompatibilityTable) -> None:
    release = npm_version("usbmux-client")
    stranger.phone.device.add_port(7, echo)
    answer = answered(stranger, "usbmux_client.cjs", stranger.socket_path)
    [device] = answer["devices"].values()
    assert device["SerialNumber"] == stranger.phone.udid
    assert (answer["name"], answer["values"]["ProductVersion"]) == (NAME, "16.7.2")
    assert answer["echoed"] == "through the tunnel"
    compatibility.add("usbmux-client", release, "getDevices", "names the phone")
    compatibility.add("usbmux-client", release, "queryDeviceValue, queryAllDeviceValues", "values, unpaired")
    compatibility.add("usbmux-client", release, "createDeviceTunnel", "an echo comes back")


def test_appium_ios_device_asks_and_uses_services(iphone: IPhoneBench, compatibility: CompatibilityTable) -> None:
    release = npm_version("appium-ios-device")
    iphone.printed(Spelling.LIBIMOBILEDEVICE, debian_program("idevicepair"), "pair")
    answer = answered(iphone, "appium_ios_device.cjs")
    assert (answer["udid"], answer["name"], answer["version"]) == (iphone.phone.udid, NAME, "16.7.2")
    assert answer["values"]["HardwareModel"] == iphone.phone.values.value("HardwareModel")
    assert "written" in answer["file"]["names"]
    assert answer["file"]["received"] == answer["file"]["sent"]
    assert answer["applications"] == ["com.example.notes"]
    compatibility.add("appium-ios-device", release, "getConnectedDevices", "names the phone")
    compatibility.add("appium-ios-device", release, "getDeviceName, getOSVersion, getDeviceInfo", "values, unpaired")
    compatibility.add("appium-ios-device", release, "startAfcService", "1 MiB there and back, equal digests")
    compatibility.add("appium-ios-device", release, "startInstallationProxyService", "what is installed")
