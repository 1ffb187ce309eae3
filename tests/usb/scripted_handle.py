"""An opened device in which a test ends each transfer by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from usbmux.usb._usb1 import Transfer, TransferCallback


class ScriptedTransfer:
    """A `Transfer`; submitted ones wait in `ScriptedHandle.submitted`."""

    def __init__(self, handle: ScriptedHandle, adds_zero_packet: bool) -> None:
        self.adds_zero_packet = adds_zero_packet
        self.data: bytes | bytearray = b""
        self.is_closed = False
        self.is_cancelled = False
        self._handle = handle
        self._callback: TransferCallback = lambda _transfer: None
        self._status = 0
        self._actual_length = 0

    def setBulk(self, endpoint: int, buffer_or_len: bytes | bytearray, callback: TransferCallback) -> None:
        self.data = buffer_or_len
        self._callback = callback

    def setControl(
        self,
        request_type: int,
        request: int,
        value: int,
        index: int,
        buffer_or_len: int,
        callback: TransferCallback,
        user_data: None = None,
        timeout: int = 0,
    ) -> None:
        raise NotImplementedError

    def setAddZeroPacket(self, state: bool) -> None:
        self.adds_zero_packet = state

    def getStatus(self) -> int:
        return self._status

    def getActualLength(self) -> int:
        return self._actual_length

    def getBuffer(self) -> bytearray | memoryview:
        raise NotImplementedError

    def submit(self) -> None:
        self._handle.take(self)

    def cancel(self) -> None:
        self.is_cancelled = True

    def close(self) -> None:
        self.is_closed = True

    def end(self, status: int, actual_length: int | None = None) -> None:
        """Let it end, as libusb does."""
        self._status = status
        self._actual_length = len(self.data) if actual_length is None else actual_length
        self.is_cancelled = False
        self._handle.submitted.remove(self)
        self._callback(self)


class ScriptedHandle:
    """A `Handle` whose transfers end when the test says so."""

    def __init__(self) -> None:
        self.transfers: list[ScriptedTransfer] = []
        self.submitted: list[ScriptedTransfer] = []
        self.refuse: Callable[[ScriptedTransfer], Exception | None] = lambda _transfer: None

    def take(self, transfer: ScriptedTransfer) -> None:
        error = self.refuse(transfer)
        if error is not None:
            raise error
        self.submitted.append(transfer)

    @property
    def sent(self) -> list[bytes]:
        """The data of the transfers in flight."""
        return [bytes(transfer.data) for transfer in self.submitted]

    def getTransfer(self, *, add_zero_packet: bool = False) -> Transfer:
        transfer = ScriptedTransfer(self, add_zero_packet)
        self.transfers.append(transfer)
        return transfer

    def getConfiguration(self) -> int:
        raise NotImplementedError

    def setConfiguration(self, configuration: int) -> None:
        raise NotImplementedError

    def kernelDriverActive(self, interface: int) -> bool:
        raise NotImplementedError

    def detachKernelDriver(self, interface: int) -> None:
        raise NotImplementedError

    def claimInterface(self, interface: int) -> object:
        raise NotImplementedError

    def releaseInterface(self, interface: int) -> None:
        raise NotImplementedError

    def setInterfaceAltSetting(self, interface: int, alt_setting: int) -> None:
        raise NotImplementedError

    def clearHalt(self, endpoint: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
