"""A phone on the bus, and the way from there to a pipe."""

import logging
from contextlib import AsyncExitStack

from usbmux.errors import UsbAccessError, UsbDisconnectedError, UsbTimeoutError
from usbmux.usb.apple import DEFAULT_MODE, PHONE_PRODUCT_IDS, choose_mux_interface, device_name, guess_mode, port_path
from usbmux.usb.configuration import configure_and_claim
from usbmux.usb.descriptors import DeviceDescriptors
from usbmux.usb.identity import read_identity
from usbmux.usb.libusb_pipe import LibusbPipe, TransferSizes
from usbmux.usb.modes import knows_modes, switch_mode
from usbmux.usb.pipe import BulkPipe
from usbmux.usb.session import UsbSession
from usbmux.usb.spare_memory import SpareMemory

_log = logging.getLogger("usbmux.usb")


class ModePolicy:
    """Which mode phones are put into, and which were asked for it already.

    A phone that comes back in another mode than it agreed to is not asked again, for it would go round for ever.

    Args:
        mode: The mode wanted; None leaves every phone as it is that shows a mux interface.
    """

    def __init__(self, mode: int | None) -> None:
        self._mode = mode
        self._asked: dict[str, str] = {}
        """By port: the serial number of the phone that was asked there last, and was not seen in that mode since."""

    def wanted_mode(self, device: DeviceDescriptors) -> int | None:
        """The mode to ask this device for, None to leave it alone: phones have modes, the T2 chip and Macs have not."""
        if device.product_id not in PHONE_PRODUCT_IDS:
            return None
        is_without_mux = choose_mux_interface(device) is None
        mode = self._mode or (DEFAULT_MODE if is_without_mux else None)
        if mode is None or guess_mode(device) in (None, mode):
            self._asked.pop(port_path(device), None)
            return None
        return mode

    def was_asked(self, device: DeviceDescriptors, serial_number: str) -> bool:
        """Whether this phone was the last one that was asked at its port."""
        return self._asked.get(port_path(device)) == serial_number

    def asked(self, device: DeviceDescriptors, serial_number: str) -> None:
        """It is being asked."""
        self._asked[port_path(device)] = serial_number


class LibusbCandidate:
    """A `UsbCandidate`: a device that has a mux interface, or a phone whose mode hides it."""

    def __init__(self, device: DeviceDescriptors, sizes: TransferSizes, spare: SpareMemory, modes: ModePolicy) -> None:
        self.device = device
        self._sizes = sizes
        self._spare = spare
        self._modes = modes
        self._session: UsbSession | None = None

    @property
    def name(self) -> str:
        """Port path and ids for the log: ``1-2.3 (05ac:12a8)``."""
        return device_name(self.device)

    async def open(self, *, anew: bool = False) -> BulkPipe:
        """Configure the device, claim its mux interface and read who it is.

        Args:
            anew: Set the configuration even if it is in force already.

        Raises:
            UsbAccessError: It is open already, the device node may not be opened, or another process has the interface.
            UsbDisconnectedError: It is gone, or about to come back in another mode.
            UsbError: It could not be done now; trying again may help.
        """
        if self._session is not None and not self._session.is_closed:
            # Not left to the claim: before that, the phone would be asked to change its mode or configuration.
            raise UsbAccessError(f"cannot open {self.name}: it is open already")
        async with AsyncExitStack() as stack:
            session = self._session = UsbSession(self.device)
            stack.push_async_callback(session.close)
            await session.open()
            info = await read_identity(session)
            mode = self._modes.wanted_mode(self.device)
            try:
                is_leaving = mode is not None and await self._switch_mode(session, info.serial_number, mode)
            except UsbTimeoutError as error:
                _log.warning("%s; it is used in the mode that it is in", error)
                is_leaving = False
            if is_leaving:
                raise UsbDisconnectedError(f"{self.name} leaves, to come back in mode {mode}")
            mux = await configure_and_claim(session, anew=anew)
            pipe = LibusbPipe(session, info, mux, self._sizes, self._spare)
            stack.pop_all()
            return pipe

    async def show_mux(self) -> None:
        """Switch a phone whose mode hides the mux; it leaves and comes back with one.

        Raises:
            UsbError: It could not be asked.
        """
        mode = self._modes.wanted_mode(self.device)
        if mode is None:
            return
        async with AsyncExitStack() as stack:
            session = UsbSession(self.device)
            stack.push_async_callback(session.close)
            await session.open()
            info = await read_identity(session)
            await self._switch_mode(session, info.serial_number, mode)

    async def _switch_mode(self, session: UsbSession, serial_number: str, mode: int) -> bool:
        if self._modes.was_asked(self.device, serial_number):
            _log.warning("%s did not come back in mode %d", self.name, mode)
            return False
        if not await knows_modes(session):
            return False
        self._modes.asked(self.device, serial_number)
        return await switch_mode(session, mode)
