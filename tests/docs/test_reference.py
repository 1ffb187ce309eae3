"""The reference has every public name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import usbmux
import usbmux.testing
import usbmux.testing.iphone
from tests.docs.page import ROOT
from usbmux import errors
from usbmux.testing import ports

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = ROOT / "docs/reference"


def public_names() -> list[str]:
    modules = (usbmux, usbmux.testing, usbmux.testing.iphone)
    return [f"{module.__name__}.{name}" for module in modules for name in module.__all__ if not name.startswith("__")]


def names_on(*pages: Path) -> set[str]:
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    return set(re.findall(r"^\.\. auto(?:class|data|function):: (\S+)$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def described() -> set[str]:
    pages = list(REFERENCE.glob("*.md"))
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    names = names_on(*pages)
    for module, package in ((errors, usbmux), (ports, usbmux.testing)):
        if f".. automodule:: {module.__name__}\n" in text:
            names |= {f"{package.__name__}.{name}" for name in vars(module)}
    return names


@pytest.mark.parametrize("name", public_names())
def test_public_name_is_in_the_reference(name: str, described: set[str]) -> None:
    assert name in described


def test_page_of_the_client_names_what_the_package_gives() -> None:
    assert names_on(REFERENCE / "client.md") <= {f"usbmux.{name}" for name in usbmux.__all__}
