"""The phones that are plugged into a guest: simulated in this process, each behind a usbredir socket."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from tests.kernel.guest import Cable
from usbmux.testing import SimulatedPhone
from usbmux.testing.config import default_phones
from usbmux.testing.options import PhoneOptions
from usbmux.testing.usb_phone import ENDPOINT_IN, INITIAL_MODE
from usbmux.testing.usbredir import UsbredirServer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

WITHIN_S = 30.0
MAX_PACKET_SIZES = {"ehci": 512, "xhci": 1024}
# The longest packet that a phone's length field can tell, less its headers.
LONGEST_SEGMENT = 65535 - 36


class PluggedPhone:
    """A phone at a port of a controller of the guest."""

    def __init__(self, phone: SimulatedPhone, controller: str, server: UsbredirServer, phones: Phones) -> None:
        self.controller = controller
        self._phone = phone
        self._server = server
        self._phones = phones

    @property
    def udid(self) -> str:
        return self._phone.udid

    @property
    def cable(self) -> Cable:
        """What the guest is booted with."""
        return Cable(f"phone-{self.controller}", self.controller, str(self._server.address).removeprefix("unix:"))

    def plug(self) -> None:
        self._phones.perform(self._server.plug())

    def unplug(self) -> None:
        self._phones.perform(self._server.unplug())

    def unplug_after(self, count: int) -> None:
        """Pulls the plug when so many more bytes have crossed, in the middle of a request if need be."""
        self._phones.call(lambda: self._server.unplug_after(count))

    def stall(self, endpoint: int, times: int = 1) -> None:
        """Halts an endpoint until the guest has cleared that so many times."""
        self._phones.call(lambda: self._server.device.halt(endpoint, times))

    def wait_left_alone(self) -> None:
        """Waits until the guest does not want to read from the mux any more."""

        async def wait() -> None:
            async with asyncio.timeout(WITHIN_S):
                while self._server.device.waiting(ENDPOINT_IN):  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0.005)

        self._phones.perform(wait())

    @property
    def mode_requests(self) -> list[tuple[int, int]]:
        """What it was asked about its mode: bRequest and wIndex."""
        return self._server.device.mode_requests

    def take_violations(self) -> list[str]:
        """Every rule that the guest's daemon has broken since this was last called."""
        taken = self._phone.violations.copy()
        self._phone.violations.clear()
        return taken


def default_phone(index: int, options: PhoneOptions) -> SimulatedPhone:
    """A phone with ports to measure by, and without lockdown."""
    model = default_phones(index + 1)[index]
    return SimulatedPhone(model.udid, ports=model.ports, options=options)


class Phones:
    """One phone for each of the named controllers, at the fastest speed of the controller, first in that mode.

    `make_phone` gets the number of the controller in that order, and how the phone's end of the mux must behave.
    """

    def __init__(
        self,
        folder: Path,
        controllers: Sequence[str],
        *,
        mode: int = INITIAL_MODE,
        make_phone: Callable[[int, PhoneOptions], SimulatedPhone] = default_phone,
    ) -> None:
        self._folder = folder
        self._controllers = controllers
        self._mode = mode
        self._make_phone = make_phone
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._ending = AsyncExitStack()
        self._phones: list[PluggedPhone] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self.perform(self._serve())
        return self

    def __exit__(self, *exception: object) -> None:
        self.perform(self._ending.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WITHIN_S)
        self._loop.close()

    def __iter__(self) -> Iterator[PluggedPhone]:
        return iter(self._phones)

    def perform(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Runs something in the phones' event loop, to its end."""
        future: Future[None] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        future.result(WITHIN_S)

    def call(self, function: Callable[[], object]) -> None:
        """Calls something in the phones' event loop."""

        async def called() -> None:
            function()

        self.perform(called())

    async def _serve(self) -> None:
        for index, controller in enumerate(self._controllers):
            options = PhoneOptions(
                max_packet_size=MAX_PACKET_SIZES[controller], max_segment=LONGEST_SEGMENT, initial_sequence=0
            )
            phone = self._make_phone(index, options)
            server = await self._ending.enter_async_context(UsbredirServer(phone, mode=self._mode))
            await server.serve(self._folder / f"{controller}.sock")
            self._phones.append(PluggedPhone(phone, controller, server, self))
