"""The bus of real devices, over libusb.

Comings and goings are reported by libusb where udev tells it of them. Elsewhere, as in most containers, the bus is
listed once a second, each time in a new context: an old one does not look again. Where it is not sure that udev is
heard, it is listed now and then as well; and once some time after each change, for what was lost among many of them.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Final

from usbmux.errors import LocalProtocolError, UsbDisconnectedError, UsbError
from usbmux.usb._usb1 import Context, Device
from usbmux.usb.apple import MODES, VENDOR_ID, choose_mux_interface, device_name, is_phone_without_mux
from usbmux.usb.binding import HOTPLUG_DEVICE_LEFT, has_hotplug, open_context, translated
from usbmux.usb.candidate import LibusbCandidate, ModePolicy
from usbmux.usb.descriptors import DeviceDescriptors, read_descriptors
from usbmux.usb.event_pump import EventPump, make_event_pump
from usbmux.usb.libusb_pipe import TransferSizes
from usbmux.usb.pipe import BusListener
from usbmux.usb.spare_memory import SpareMemory
from usbmux.usb.udev import does_udev_run, is_udev_heard
from usbmux.usb.worker import Worker

_POLL_INTERVAL_S: Final = 1.0
_SAFETY_INTERVAL_S: Final = 10.0
_SHORTEST_PAUSE_S: Final = 0.1
_QUIET_PAUSE_S: Final = 1.5
_LONGEST_PAUSE_S: Final = 60.0
"""After attempts to make a phone show its mux: each is twice the one before, and nobody hears of those before 1.5 s."""

_log = logging.getLogger("usbmux.usb")

_Place = tuple[int, int]


class LibusbBus:
    """A `UsbBus` of the phones plugged into this machine.

    Args:
        sizes: What each pipe keeps in flight.
        mode: USB mode, 1 to 5, that phones are switched to; None leaves all alone but those that hide their mux.
        hotplug: False: look for phones only at the start and when asked to. An open one is still seen to leave.
    """

    def __init__(self, *, sizes: TransferSizes | None = None, mode: int | None = None, hotplug: bool = True) -> None:
        if mode is not None and mode not in MODES:
            raise ValueError(f"the USB mode must be {MODES[0]} to {MODES[-1]}, not {mode}")
        self._sizes = sizes or TransferSizes()
        self._spare = SpareMemory()
        self._modes = ModePolicy(mode)
        self._hotplug = hotplug
        self._listener: BusListener | None = None
        self._worker = Worker("usbmux bus")
        self._context: Context | None = None
        self._pump: EventPump | None = None
        self._present: dict[_Place, LibusbCandidate] = {}
        self._changes = 0
        self._is_enumerating = False
        self._rescan_wanted = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, listener: BusListener) -> None:
        """Report every device present and from now on every change.

        Raises:
            LocalProtocolError: It is started already.
            UsbError: The bus cannot be used at all: no binding, no library, no access.
        """
        if self._listener is not None:
            raise LocalProtocolError("the bus is started already")
        self._listener = listener
        try:
            context = await self._worker.call(open_context)
        except UsbError:
            await self.close()
            raise
        interval_s: float | None
        if self._hotplug and has_hotplug() and does_udev_run():
            self._context = context
            try:
                self._watch(context)
            except UsbError:
                await self.close()
                raise
            interval_s = None if is_udev_heard() else _SAFETY_INTERVAL_S
        else:
            interval_s = _POLL_INTERVAL_S if self._hotplug else None
            if interval_s is not None:
                _log.info("no udev: looking for devices every %g s", interval_s)
            await self._worker.call(context.close)
            self._rescan_wanted.set()
        self._spawn(self._scan_when_wanted(interval_s))

    def rescan(self) -> None:
        """Look at once for changes that were not reported."""
        self._rescan_wanted.set()

    async def close(self) -> None:
        """Stop reporting and free the bus. The pipes must be closed already."""
        self._listener = None
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pump is not None:
            self._pump.stop()
            self._pump = None
        if self._context is not None:
            context, self._context = self._context, None
            await self._worker.call(context.close)
        self._worker.stop()
        self._present.clear()

    def _watch(self, context: Context) -> None:
        pump = make_event_pump(context, asyncio.get_running_loop())
        pump.start()
        self._pump = pump

        def changed(_context: Context, device: Device, event: int) -> bool:
            if event == HOTPLUG_DEVICE_LEFT:
                pump.notify(self._hotplug_left, (device.getBusNumber(), device.getDeviceAddress()))
            elif self._is_enumerating:
                pump.notify(self._arrived, read_descriptors(device))
            else:
                pump.notify(self._hotplug_arrived, read_descriptors(device))
            return False

        self._is_enumerating = True  # what is there already is told of during the call
        with translated("watch the USB bus"):
            context.hotplugRegisterCallback(changed, vendor_id=VENDOR_ID)
        self._is_enumerating = False

    def _hotplug_arrived(self, device: DeviceDescriptors) -> None:
        self._note_change()
        self._arrived(device)

    def _hotplug_left(self, place: _Place) -> None:
        self._note_change()
        self._left(place)

    def _note_change(self) -> None:
        self._changes += 1
        self._look_after(_SAFETY_INTERVAL_S)

    def _look_after(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._rescan_wanted.set)

    async def _scan_when_wanted(self, interval_s: float | None) -> None:
        while True:
            if interval_s is not None:
                self._look_after(interval_s)
            await self._rescan_wanted.wait()
            self._rescan_wanted.clear()
            changes = self._changes
            try:
                found = await self._worker.call(_list_devices)
            except UsbError as error:
                _log.warning("%s", error)
                continue
            if changes != self._changes:
                # Something was reported meanwhile, before or after the list was made.
                self._rescan_wanted.set()
                continue
            self._compare({(device.bus, device.address): device for device in found})

    def _compare(self, found: dict[_Place, DeviceDescriptors]) -> None:
        for place in self._present.keys() - found.keys():
            self._left(place)
        for device in found.values():
            self._arrived(device)

    def _arrived(self, device: DeviceDescriptors) -> None:
        place = (device.bus, device.address)
        if self._listener is None or place in self._present:
            return
        candidate = LibusbCandidate(device, self._sizes, self._spare, self._modes)
        if choose_mux_interface(device) is not None:
            self._present[place] = candidate
            self._report(candidate, is_arrival=True)
        elif is_phone_without_mux(device):
            self._present[place] = candidate
            self._spawn(self._show_mux(candidate, place))
        else:
            _log.debug("%s has no mux interface", device_name(device))

    def _left(self, place: _Place) -> None:
        candidate = self._present.pop(place, None)
        if candidate is None or self._listener is None or choose_mux_interface(candidate.device) is None:
            return
        self._report(candidate, is_arrival=False)

    def _report(self, candidate: LibusbCandidate, *, is_arrival: bool) -> None:
        # By the loop, so that what the listener raises does not end the task that looks for changes.
        asyncio.get_running_loop().call_soon(self._tell, candidate, is_arrival)

    def _tell(self, candidate: LibusbCandidate, is_arrival: bool) -> None:
        if self._listener is None:
            return
        if is_arrival:
            self._listener.device_arrived(candidate)
        else:
            self._listener.device_left(candidate)

    async def _show_mux(self, candidate: LibusbCandidate, place: _Place) -> None:
        told, pause_s = "", _SHORTEST_PAUSE_S
        while self._present.get(place) is candidate:
            try:
                await candidate.show_mux()
            except UsbDisconnectedError as error:
                # It can leave, to come back with one, before its answer is here.
                _log.debug("%s: %s", candidate.name, error)
                return
            except UsbError as error:
                # It may not be ready yet, nor its node ours; then there is nothing to tell.
                is_news = pause_s >= _QUIET_PAUSE_S and str(error) != told
                told = str(error) if is_news else told
                level = logging.WARNING if is_news else logging.DEBUG
                _log.log(level, "%s shows no mux interface: %s", candidate.name, error)
            else:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _list_devices() -> list[DeviceDescriptors]:
    context = open_context()
    try:
        with translated("list the USB bus"):
            devices = context.getDeviceList(skip_on_error=True)
            return [read_descriptors(device) for device in devices if device.getVendorID() == VENDOR_ID]
    finally:
        context.close()
