"""When the phones of a daemon are there, also on a machine that does other things too."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from usbmux import Client

if TYPE_CHECKING:
    from usbmux.control.address import Address


def wait_attached(address: Address, count: int) -> None:
    """Returns when that many phones have come since this one asked, those that were there included."""
    with Client(address, timeout_s=None).watch() as events:
        assert len(list(islice(events, count))) == count
