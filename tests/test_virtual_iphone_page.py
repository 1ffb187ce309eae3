"""docs/virtual-iphone.md: its tests are run, what it names is there, and nothing is left out."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import usbmux.testing
import usbmux.testing.iphone
from tests.interop.programs import debian_program
from usbmux.testing import PhoneOptions, UsbDeviceOptions, load_pluggables
from usbmux.testing.iphone import Application, Identity, VirtualIPhone, usual_services
from usbmux.testing.iphone.phone_file import KEYS, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["pytester"]

PAGE: Final = (Path(__file__).parents[1] / "docs/virtual-iphone.md").read_text(encoding="utf-8")
KINDS: Final = (*SETTINGS.values(), PhoneOptions, UsbDeviceOptions)
PROGRAMS: Final = ("idevice_id", "ideviceinfo", "idevicename", "idevicepair")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """Names in the first column of the tables."""
    return [name for row in re.findall(r"^\| (.+?) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)]


@pytest.mark.interop
def test_tests_on_the_page_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROGRAMS:
        debian_program(name)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (code,) = blocks("python")
    pytester.makepyfile(test_it=code)
    result = pytester.runpytest_subprocess("-p", "usbmux.testing.pytest_plugin", "-W", "error", timeout=60)
    result.assert_outcomes(passed=code.count("def test_"))


def test_file_on_the_page_is_understood(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    for folder in re.findall(r'^files = "(\w+)"', text, re.MULTILINE):
        (tmp_path / folder).mkdir()
    (tmp_path / "phones.toml").write_text(text)
    plain, iphone = load_pluggables(tmp_path / "phones.toml")
    assert isinstance(iphone, VirtualIPhone)
    assert iphone.summary == "Ada's iPhone, iPhone12,1, iOS 17.5.1"
    assert plain.device.udid == "00008030-001A2B3C4D5E6F01"


def test_keys_of_the_file_are_all_on_the_page() -> None:
    identity = {field.name for field in dataclasses.fields(Identity)}
    (row,) = (line for line in section("In a file").splitlines() if line.startswith("| `application` |"))
    assert set(first_cells(section("In a file"))) - {"[[iphone]]"} == identity | set(KEYS)
    names = set(re.findall(r"`(\w+)`", row))
    assert {field.name for field in dataclasses.fields(Application)} <= names


def test_services_are_all_on_the_page() -> None:
    assert sorted(first_cells(section("Services"))) == sorted(usual_services())


def test_fixtures_are_all_on_the_page(pytester: pytest.Pytester) -> None:
    from usbmux.testing import pytest_plugin

    there = [name for name, value in vars(pytest_plugin).items() if type(value).__name__ == "FixtureFunctionDefinition"]
    assert sorted(first_cells(section("In tests"))) == sorted(there)


def knobs() -> list[str]:
    return re.findall(r"`([A-Z]\w+(?:\.\w+)*)`", section("Faults").partition("| fault |")[2])


def test_knobs_on_the_page_are_in_the_code() -> None:
    missing = [knob for knob in knobs() if not is_there(*knob.split("."))]
    assert missing == []


def is_there(name: str, attribute: str = "") -> bool:
    package = usbmux.testing if name in usbmux.testing.__all__ else usbmux.testing.iphone
    kind: Callable[..., object] | None = getattr(package, name, None)
    if kind is None or not attribute:
        return kind is not None
    set_by_init = re.search(rf"self\.{attribute}\b", Path(sys.modules[kind.__module__].__file__ or "").read_text())
    return hasattr(kind, attribute) or bool(set_by_init) or attribute in getattr(kind, "__dataclass_fields__", {})


def test_settings_are_all_on_the_page() -> None:
    settings = {f"{kind.__name__}.{field.name}" for kind in KINDS for field in dataclasses.fields(kind)}
    assert settings - set(knobs()) == set()
