"""The bus with the library of this machine, whatever is plugged into it, and without any library."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

import pytest

from usbmux.errors import LocalProtocolError, UsbError
from usbmux.usb.libusb import LibusbBus
from usbmux.usb.libusb_pipe import TransferSizes

if TYPE_CHECKING:
    from usbmux.usb.pipe import UsbCandidate


class Silent:
    """A `BusListener` for which all is the same."""

    def device_arrived(self, candidate: UsbCandidate) -> None:
        pass

    def device_left(self, candidate: UsbCandidate) -> None:
        pass


def open_descriptors() -> set[str]:
    return {name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}


@pytest.fixture
def library() -> None:
    usb1 = pytest.importorskip("usb1", reason="the libusb binding is not installed")
    try:
        usb1.loadLibrary()
    except OSError:
        pytest.skip("the libusb library is not installed")


@pytest.mark.asyncio
@pytest.mark.usefixtures("library")
async def test_bus_started_rescanned_and_closed_leaves_nothing() -> None:
    # The loop and its threads open what they need when they are first used.
    await asyncio.to_thread(int)
    descriptors, tasks = open_descriptors(), asyncio.all_tasks()

    for _ in range(3):
        bus = LibusbBus()
        await bus.start(Silent())
        bus.rescan()
        await bus.close()

    assert open_descriptors() == descriptors
    assert asyncio.all_tasks() == tasks
    assert not [thread for thread in threading.enumerate() if "libusb" in thread.name]


@pytest.mark.asyncio
@pytest.mark.usefixtures("library")
async def test_bus_started_start_again_is_refused() -> None:
    bus = LibusbBus()
    await bus.start(Silent())

    with pytest.raises(LocalProtocolError):
        await bus.start(Silent())

    await bus.close()


@pytest.mark.asyncio
async def test_bus_never_started_close_does_nothing() -> None:
    await LibusbBus().close()


@pytest.mark.asyncio
async def test_binding_missing_start_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usbmux.usb.binding.usb1", None)

    with pytest.raises(UsbError, match=r"pip install 'usbmux\[daemon\]'"):
        await LibusbBus().start(Silent())


@pytest.mark.asyncio
async def test_library_missing_start_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    usb1 = pytest.importorskip("usb1", reason="the libusb binding is not installed")

    def load() -> None:
        raise OSError("no such library")

    monkeypatch.setattr(usb1, "loadLibrary", load)

    with pytest.raises(UsbError, match=r"libusb-1\.0-0"):
        await LibusbBus().start(Silent())


@pytest.mark.parametrize("mode", [0, 6])
def test_mode_out_of_range_is_refused(mode: int) -> None:
    with pytest.raises(ValueError, match="1 to 5"):
        LibusbBus(mode=mode)


@pytest.mark.parametrize(
    "sizes", [{"reads": 0}, {"writes": 1}, {"read_size": 0}, {"read_size": 512}, {"read_size": 16384 + 512}]
)
def test_transfer_sizes_out_of_range_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        TransferSizes(**sizes)
