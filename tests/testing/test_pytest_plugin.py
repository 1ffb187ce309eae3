"""The plugin as other projects see it: in a pytest of its own."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from usbmux.testing.iphone import VirtualIPhone
from usbmux.testing.pytest_plugin import VirtualIPhoneOptions

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

WITHIN_S = 60.0
PLUGIN = ("-p", "usbmux.testing.pytest_plugin", "-p", "no:cacheprovider")


@pytest.fixture
def attempt(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Runs a module of tests, with everything that warns taken for an error."""
    for name in ("USBMUXD_SOCKET_ADDRESS", "PYMOBILEDEVICE3_USBMUX", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # nothing but pytest and the plugin

    def run(code: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=code)
        return pytester.runpytest_subprocess(*PLUGIN, "-W", "error", "--strict-markers", *arguments, timeout=WITHIN_S)

    return run


def test_fixture_usbmuxd_leads_programs_to_the_phone(attempt: Callable[..., pytest.RunResult]) -> None:
    result = attempt(
        """
        import os, subprocess, sys

        def test_programs_find_it(usbmuxd, virtual_iphone):
            command = [sys.executable, "-m", "usbmux", "list"]
            assert subprocess.check_output(command, text=True).split() == [virtual_iphone.udid]
            assert usbmuxd.environment.items() <= os.environ.items()
            assert usbmuxd.address and not usbmuxd.violations

        def test_later_they_do_not():
            assert not {"USBMUXD_SOCKET_ADDRESS", "PYMOBILEDEVICE3_USBMUX"} & set(os.environ)
        """
    )
    result.assert_outcomes(passed=2)


def test_options_by_fixture_and_marker_the_closest_counts(attempt: Callable[..., pytest.RunResult]) -> None:
    result = attempt(
        """
        import pytest
        from usbmux.testing.iphone import Identity, Trust

        @pytest.fixture
        def virtual_iphone_options():
            return {"identity": Identity(device_name="Ada"), "trust": Trust.LOCKED}

        def test_fixture(virtual_iphone):
            assert virtual_iphone.summary.startswith("Ada, ")
            assert virtual_iphone.hosts.trust is Trust.LOCKED

        @pytest.mark.virtual_iphone(trust=Trust.PENDING, mux_version=1)
        class TestMarker:
            def test_class(self, virtual_iphone):
                assert virtual_iphone.hosts.trust is Trust.PENDING
                assert virtual_iphone.device.version == 1

            @pytest.mark.virtual_iphone(trust=Trust.DENIED)
            def test_function(self, virtual_iphone):
                assert virtual_iphone.summary.startswith("Ada, ")
                assert virtual_iphone.hosts.trust is Trust.DENIED
                assert virtual_iphone.device.version == 1
        """
    )
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [("3", "by name only"), ("colour=3", "unexpected keyword argument 'colour'")],
)
def test_marker_with_wrong_arguments_is_an_error(
    attempt: Callable[..., pytest.RunResult], arguments: str, words: str
) -> None:
    result = attempt(
        f"""
        import pytest

        @pytest.mark.virtual_iphone({arguments})
        def test_it(virtual_iphone):
            pass
        """
    )
    result.assert_outcomes(errors=1)
    assert words in result.stdout.str()


def test_factory_makes_phones_that_differ(attempt: Callable[..., pytest.RunResult]) -> None:
    result = attempt(
        """
        from usbmux import Client
        from usbmux.testing.iphone import Identity

        def test_three(usbmuxd, virtual_iphone, new_virtual_iphone):
            phones = [virtual_iphone, new_virtual_iphone(), new_virtual_iphone(identity=Identity("0123"))]
            with Client().watch() as events:
                found = {next(events).device.udid for _ in phones}
            assert found == {phone.udid for phone in phones}
            assert len(found) == 3
            assert phones[1].values.value("DeviceName") == "Virtual iPhone 2"
        """
    )
    result.assert_outcomes(passed=1)


def test_without_the_extra_only_who_uses_it_is_told(
    attempt: Callable[..., pytest.RunResult], pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(
        """
        import sys

        class Blocker:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == "cryptography":
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        sys.meta_path.insert(0, Blocker())
        """
    )
    result = attempt(
        """
        def test_it(usbmuxd):
            pass

        def test_other():
            pass
        """
    )
    result.assert_outcomes(passed=1, errors=1)
    assert "pip install 'usbmux[testing]'" in result.stdout.str()


def test_plugin_that_nobody_uses_imports_nothing() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import usbmux.testing.pytest_plugin; "
        "print(*sorted(set(sys.modules) - before))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=WITHIN_S)
    imported = printed.stdout.split()
    unwanted = ("asyncio", "cryptography", "ssl", "usbmux.client", "usbmux.daemon", "usbmux.testing.iphone")
    assert not [name for name in imported if name.startswith(unwanted)]
    assert len(imported) < 20


def test_options_are_the_arguments_of_a_virtual_iphone() -> None:
    parameters = list(inspect.signature(VirtualIPhone).parameters)
    assert list(VirtualIPhoneOptions.__annotations__) == parameters
