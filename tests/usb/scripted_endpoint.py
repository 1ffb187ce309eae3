"""An endpoint of a device in which a test ends each transfer by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usbmux.errors import UsbError

if TYPE_CHECKING:
    from collections.abc import Callable


class ScriptedTransfer:
    """A `Transfer`; submitted ones wait in `ScriptedEndpoint.submitted`."""

    def __init__(self, endpoint: ScriptedEndpoint, memory: memoryview) -> None:
        self.memory = memory
        self.data: bytes | memoryview = b""
        self.status = 0
        self.actual_length = 0
        self.adds_zero_packet = False
        self._endpoint = endpoint

    @property
    def length(self) -> int:
        return len(self.data)

    def set_length(self, length: int) -> None:
        self.data = self.memory[:length]

    def set_zero_packet(self, wanted: bool) -> None:
        self.adds_zero_packet = wanted

    @property
    def fields(self) -> ScriptedTransfer:
        return self

    def submit(self) -> int:
        if code := self._endpoint.refuse(self):
            return code
        self._endpoint.submitted.append(self)
        return 0

    def cancel(self) -> None:
        self._endpoint.cancelled.append(self)

    def end(self, status: int, data: bytes | None = None) -> None:
        """Let it end, as libusb does; a read with this data, a write with all of its own."""
        self.status = status
        if data is None:
            self.actual_length = len(self.data)
        else:
            assert isinstance(self.data, memoryview)
            self.actual_length = len(data)
            self.data[: len(data)] = data
        self._endpoint.submitted.remove(self)
        self._endpoint.ended.append(self)


class ScriptedEndpoint:
    """An `Endpoint` whose transfers end when the test says so."""

    def __init__(self, address: int = 4) -> None:
        self.address = address
        self.submitted: list[ScriptedTransfer] = []
        self.cancelled: list[ScriptedTransfer] = []
        self.ended: list[ScriptedTransfer] = []
        self.is_closed = False
        self.made = 0
        self.most = 1000
        """How many transfers there is memory for."""
        self.refuse: Callable[[ScriptedTransfer], int] = lambda _transfer: 0

    @property
    def sent(self) -> list[bytes]:
        """The data of the transfers in flight."""
        return [bytes(transfer.data) for transfer in self.submitted]

    def new_transfer(self, memory: memoryview) -> ScriptedTransfer:
        if self.made == self.most:
            raise UsbError("cannot make a transfer: out of memory")
        self.made += 1
        return ScriptedTransfer(self, memory)

    def take_ended(self) -> list[ScriptedTransfer]:
        ended, self.ended = self.ended, []
        return ended

    def close(self) -> None:
        self.is_closed = True
