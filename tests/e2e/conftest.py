from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.usbmuxd import Usbmuxd, start_usbmuxd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from usbmux import Client


@pytest.fixture
def usbmuxd(tmp_path: Path) -> Iterator[Usbmuxd]:
    """A daemon with a phone of each mux version, on a Unix socket and a TCP port."""
    with start_usbmuxd(tmp_path) as running:
        yield running


@pytest.fixture
def client(usbmuxd: Usbmuxd) -> Client:
    return usbmuxd.client()
