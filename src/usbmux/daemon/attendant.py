"""The lives of phones: opened, shaken hands with, shown to clients, and cleaned up after."""

import asyncio
import logging
from typing import Final

from usbmux.daemon.device_link import DeviceLink
from usbmux.daemon.registry import DeviceRegistry
from usbmux.errors import UsbError
from usbmux.mux.settings import MuxSettings
from usbmux.usb.pipe import BulkPipe, UsbCandidate

logger = logging.getLogger("usbmux.daemon")

OPEN_ATTEMPTS: Final = 30
OPEN_RETRY_S: Final = 0.1
"""A phone can enumerate before it is ready: 3 s in all."""


class DeviceAttendant:
    """One task for each phone, from plug to unplug. Implements `BusListener`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, registry: DeviceRegistry, settings: MuxSettings) -> None:
        self._loop: Final = loop
        self._registry: Final = registry
        self._settings: Final = settings
        self._tasks: Final[dict[UsbCandidate, asyncio.Task[None]]] = {}
        self._links: Final[dict[UsbCandidate, DeviceLink]] = {}
        self._arriving: Final[set[UsbCandidate]] = set()
        self._settled: Final = asyncio.Event()
        self._settled.set()

    def device_arrived(self, candidate: UsbCandidate) -> None:
        """See `BusListener`."""
        self._arriving.add(candidate)
        self._settled.clear()
        task = self._loop.create_task(self._attend(candidate), name=f"phone at {candidate.name}")
        self._tasks[candidate] = task
        task.add_done_callback(lambda _task: self._forget(candidate))

    def device_left(self, candidate: UsbCandidate) -> None:
        """See `BusListener`. An open pipe says so itself; this ends the attempts to open one."""
        logger.debug("%s: left the bus", candidate.name)
        # Never while the pipe is being closed: cut short, that would leave the device claimed.
        if candidate in self._tasks and candidate not in self._links:
            self._tasks[candidate].cancel()

    async def wait_settled(self, timeout_s: float) -> None:
        """Wait until every phone that arrived is attached or given up, but not longer than that."""
        await asyncio.sleep(0)  # a bus may report what is there in the loop's next turn
        try:
            await asyncio.wait_for(self._settled.wait(), timeout_s)
        except TimeoutError:
            logger.info("still waiting for %s", ", ".join(candidate.name for candidate in self._arriving))

    async def close(self) -> None:
        """Let go of every phone."""
        tasks = dict(self._tasks)
        for candidate, task in tasks.items():
            if (link := self._links.get(candidate)) is not None:
                link.shut_down("usbmuxd is shutting down")
            else:
                task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _attend(self, candidate: UsbCandidate) -> None:
        """The life of one phone."""
        try:
            pipe = await _open(candidate)
        except UsbError as error:
            logger.error("%s: %s", candidate.name, error)
            return
        self._links[candidate] = link = DeviceLink(pipe, self._settings, self._loop)
        device_id: int | None = None
        try:
            link.start()
            if await link.ready:
                device_id = self._registry.attach(link).device_id
                logger.info("%s: attached as device %d at %s", pipe.info.serial_number, device_id, candidate.name)
                self._settle(candidate)
            reason = await link.ended
            logger.log(logging.INFO if device_id else logging.ERROR, "%s: %s", pipe.info.serial_number, reason)
        finally:
            link.shut_down("usbmuxd ends the link")
            if device_id is not None:
                self._registry.detach(device_id)
            await pipe.close()
            del self._links[candidate]

    def _settle(self, candidate: UsbCandidate) -> None:
        self._arriving.discard(candidate)
        if not self._arriving:
            self._settled.set()

    def _forget(self, candidate: UsbCandidate) -> None:
        del self._tasks[candidate]
        self._settle(candidate)


async def _open(candidate: UsbCandidate) -> BulkPipe:
    """Open the phone, trying again while it may still be getting ready.

    Raises:
        UsbError: The last attempt failed too.
    """
    for attempt in range(1, OPEN_ATTEMPTS):
        try:
            return await candidate.open()
        except UsbError as error:
            logger.debug("%s: attempt %d: %s", candidate.name, attempt, error)
        await asyncio.sleep(OPEN_RETRY_S)
    return await candidate.open()
