"""What the two packages promise can be had, and nothing is loaded before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import usbmux.testing
import usbmux.testing.iphone

if TYPE_CHECKING:
    from types import ModuleType

PACKAGES = (usbmux.testing, usbmux.testing.iphone)


@pytest.mark.parametrize("package", PACKAGES)
def test_names_promised_are_there_in_order_and_shown(package: ModuleType) -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    assert len(set(package.__all__)) == len(package.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_other_names_are_not_there(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Android'"):
        _ = package.Android
