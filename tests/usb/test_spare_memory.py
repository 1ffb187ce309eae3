"""What all phones may have in flight together, against what Linux allows."""

from __future__ import annotations

from math import ceil

import pytest

from tests.usb.scripted_endpoint import ScriptedEndpoint
from tests.usb.test_bulk_writer import Events, running_writer
from usbmux.mux.settings import MuxSettings
from usbmux.usb.libusb_pipe import TransferSizes
from usbmux.usb.spare_memory import SPARE_BYTES, SpareMemory
from usbmux.usb.write_limit import WriteLimit

USBFS_MEMORY = 16 << 20
"""The default of usbfs_memory_mb, for all transfers of all programs."""
PHONES = 64
URB_BYTES = 296
"""What usbfs counts for each besides its buffer: struct async and struct urb of 64 bits, in the largest kernels."""
PIECE = 16384
"""libusb makes a URB of each, where a controller takes no scattered memory. Where one does, usbfs counts less."""
CONTROL_BYTES = 8 + 255 + URB_BYTES
"""Of the longest control transfer; a phone has one at a time."""


def test_spare_is_taken_no_more_is_borrowed_until_some_comes_back() -> None:
    spare = SpareMemory(100)
    assert spare.borrow(60)
    assert not spare.borrow(41)
    assert spare.borrow(40)
    spare.give_back(41)
    assert spare.borrow(41)


@pytest.mark.asyncio
async def test_64_phones_have_all_that_they_may_and_the_spare_the_kernel_allows_it() -> None:
    sizes = TransferSizes()
    endpoint = ScriptedEndpoint()
    limit = WriteLimit(SpareMemory(0), least=sizes.write_bytes, most=sizes.write_bytes, step=0)
    writer = running_writer(endpoint, Events(), sizes.writes, limit)
    for _ in range(sizes.writes - 2):
        writer.write(b"x")
    writer.write(bytes(sizes.write_bytes - 1 - limit.drain.in_flight))
    writer.write(bytes(MuxSettings().max_packet_length))
    assert not writer.has_free_slot()
    in_flight = limit.drain.in_flight
    assert in_flight > 2 * sizes.write_bytes - 16

    reads = sizes.reads * (sizes.read_size + URB_BYTES)
    writes = in_flight + (sizes.writes + in_flight // PIECE) * URB_BYTES
    spare = SPARE_BYTES + ceil(SPARE_BYTES / PIECE) * URB_BYTES

    assert PHONES * (reads + writes + CONTROL_BYTES) + spare <= USBFS_MEMORY
