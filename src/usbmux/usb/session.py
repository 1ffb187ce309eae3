"""One opened device with a libusb context of its own.

A context lists the bus when it is made, so a device is always looked up in a fresh list; and phones share neither
locks nor descriptors nor threads, so one that hangs holds up nobody else.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from usbmux.errors import UsbDisconnectedError, UsbError, UsbStallError, UsbTimeoutError
from usbmux.usb._usb1 import Context, Device, Handle, Transfer
from usbmux.usb.apple import MuxInterface, device_name
from usbmux.usb.binding import TransferStatus, UsbIoError, cancel, open_context, submit, translated
from usbmux.usb.descriptors import DeviceDescriptors, read_descriptors
from usbmux.usb.event_pump import EventPump, make_event_pump
from usbmux.usb.worker import Worker, wait_done

_ResultT = TypeVar("_ResultT")

_ENDPOINT_IN: Final = 0x80
_CONTROL_TIMEOUT_S: Final = 1.0
_NO_NODE: Final = "it has no device node under /dev/bus/usb here; is that directory shown to this container?"
_NOT_OPENED: Final = (
    "the system does not open its node: a container's device cgroup must allow it (docker run"
    " --device-cgroup-rule='c 189:* rmw'), and a descriptor must be left"
)


class UsbSession:
    """A device being used: its context, event pump, handle and worker. Made by `open`, ended by `close`."""

    def __init__(self, device: DeviceDescriptors) -> None:
        self.device = device
        self.name = device_name(device)
        self._loop = asyncio.get_running_loop()
        self._worker = Worker(f"usbmux {self.name}")
        self._context: Context | None = None
        self._pump: EventPump | None = None
        self._handle: Handle | None = None
        self._claimed: int | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether `close` has come to its end."""
        return self._closing is not None and self._closing.done()

    @property
    def handle(self) -> Handle:
        """The opened device."""
        if self._handle is None:
            raise UsbDisconnectedError(f"{self.name} is closed")
        return self._handle

    @property
    def pump(self) -> EventPump:
        """What runs the events of this device."""
        if self._pump is None:
            raise UsbDisconnectedError(f"{self.name} is closed")
        return self._pump

    async def open(self) -> None:
        """Open the device node.

        Raises:
            UsbError: The device is gone or may not be opened. `close` is due all the same.
        """
        context = await self.call(self._open)
        self._pump = make_event_pump(context, self._loop)
        self._pump.start()

    async def call(self, function: Callable[..., _ResultT], *arguments: object) -> _ResultT:
        """Call something slow that concerns this device; even when cancelled, return only after it has ended."""
        return await self._worker.call(function, *arguments)

    def claim(self, mux: MuxInterface) -> None:
        """Claim the mux interface in the configuration that is in force. Slow: leave it to `call`.

        Raises:
            UsbError: Somebody else has it, or the configuration has changed.
        """
        handle = self.handle
        with translated(f"claim interface {mux.number} of {self.name}"):
            handle.claimInterface(mux.number)
            self._claimed = mux.number
            if mux.alternate_setting != 0:
                handle.setInterfaceAltSetting(mux.number, mux.alternate_setting)

    async def release(self) -> None:
        """Give a claimed interface back; nothing happens if there is none."""
        await self.call(self._release)

    async def control_read(self, request_type: int, request: int, value: int, index: int, length: int) -> bytes:
        """One control transfer to the host, at most 1 s.

        Returns:
            What came, possibly less than `length`.

        Raises:
            UsbError: It did not answer; `UsbStallError` if it does not know the request.
        """
        ended = self._loop.create_future()
        pump = self.pump

        def returned() -> None:
            if not ended.done():
                ended.set_result(None)

        transfer = self.handle.getTransfer()
        transfer.setControl(
            request_type | _ENDPOINT_IN,
            request,
            value,
            index,
            length,
            callback=lambda _transfer: pump.notify(returned),
            timeout=int(_CONTROL_TIMEOUT_S * 1000),
        )
        doing = f"send control request {request:#04x} to {self.name}"
        submit(transfer, doing)
        pump.timeout_changed()
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            cancel(transfer)
            await wait_done(ended)
            raise
        else:
            return _control_result(transfer, doing)
        finally:
            transfer.close()

    async def close(self) -> None:
        """Release the interface and close everything. All transfers must have ended. Idempotent.

        Even when the caller is cancelled, it is done to the end, and returns only then.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        try:
            await asyncio.shield(self._closing)
        except asyncio.CancelledError:
            await wait_done(self._closing)
            raise

    async def _close(self) -> None:
        if self._pump is not None:
            # Its descriptor must leave the loop before closing the handle lets the number be used again.
            self._pump.stop()
            self._pump = None
        handle = self._handle
        if self._context is not None:
            await self.call(self._close_all, self._context)
        self._worker.stop()
        # Up to here the handle is kept: a context that is being closed in one thread while the last reference to
        # something of it goes in another trips over an assertion of the binding.
        del handle

    def _close_all(self, context: Context) -> None:
        self._release()
        if self._handle is not None:
            self._handle.close()
            self._handle = None
        context.close()
        self._context = None

    def _release(self) -> None:
        claimed, self._claimed = self._claimed, None
        if self._handle is None or claimed is None:
            return
        # If it cannot be done the device is gone, and the claim with it; or closing the handle releases it anyway.
        with suppress(UsbError), translated("release the interface"):
            self._handle.releaseInterface(claimed)

    def _open(self) -> Context:
        self._context = context = open_context()
        if (found := self._look_up(context)) is None:
            raise UsbDisconnectedError(f"cannot open {self.name}: the device is gone")
        try:
            with translated(f"open {self.name}"):
                self._handle = found.open()
        except UsbDisconnectedError as error:
            if not self._is_listed():
                raise
            raise UsbError(f"cannot open {self.name}: {_NO_NODE}") from error
        except UsbIoError as error:
            raise UsbError(f"cannot open {self.name}: {_NOT_OPENED}") from error
        return context

    def _look_up(self, context: Context) -> Device | None:
        with translated(f"look for {self.name}"):
            for candidate in context.getDeviceList(skip_on_error=True):
                if (candidate.getBusNumber(), candidate.getDeviceAddress()) == (self.device.bus, self.device.address):
                    return candidate if _is_same(read_descriptors(candidate), self.device) else None
        return None

    def _is_listed(self) -> bool:
        context = open_context()
        try:
            return self._look_up(context) is not None
        finally:
            context.close()


def _is_same(found: DeviceDescriptors, expected: DeviceDescriptors) -> bool:
    # An address may have been given to another device meanwhile.
    return (found.vendor_id, found.product_id, found.configurations) == (
        expected.vendor_id,
        expected.product_id,
        expected.configurations,
    )


def _control_result(transfer: Transfer, doing: str) -> bytes:
    match transfer.getStatus():
        case TransferStatus.COMPLETED:
            return bytes(transfer.getBuffer()[: transfer.getActualLength()])
        case TransferStatus.STALL:
            raise UsbStallError(f"cannot {doing}: the device does not know it")
        case TransferStatus.TIMED_OUT:
            raise UsbTimeoutError(f"cannot {doing}: no answer in time")
        case TransferStatus.NO_DEVICE:
            raise UsbDisconnectedError(f"cannot {doing}: the device is gone")
        case status:
            raise UsbError(f"cannot {doing}: transfer status {status}")
