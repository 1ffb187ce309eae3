from __future__ import annotations

import subprocess
import sys

import pytest

import usbmux


def test_all_is_sorted_and_every_name_is_there() -> None:
    assert usbmux.__all__ == sorted(usbmux.__all__)
    assert all(getattr(usbmux, name) is not None for name in usbmux.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'usbmux' has no attribute 'NoSuchName'"):
        # As an attribute the type checker would refuse it, and rightly.
        getattr(usbmux, "NoSuchName")  # noqa: B009 - written plainly, the type checker would refuse it


def test_import_of_the_package_leaves_the_slow_modules_out() -> None:
    code = "import sys, usbmux; print(*{'asyncio', 'ssl', 'threading', 'logging', 'usb1'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
