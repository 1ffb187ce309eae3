"""The lives of phones: opened, shaken hands with, shown to clients, and cleaned up after."""

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from usbmux.admin.message import PhoneStatus
from usbmux.daemon.counts import Counts
from usbmux.daemon.device_link import DeviceLink
from usbmux.daemon.moderation import Moderation
from usbmux.daemon.phone_life import PhoneLife
from usbmux.daemon.registry import DeviceRegistry
from usbmux.errors import UsbDisconnectedError, UsbError
from usbmux.mux.settings import MuxSettings
from usbmux.usb.pipe import BulkPipe, UsbCandidate
from usbmux.values import frozen

if TYPE_CHECKING:
    from usbmux.daemon.preflight import Preflight

logger = logging.getLogger("usbmux.daemon")

_LAST_PACKETS_S: Final = 0.5
"""How long a phone may take to be told of the end of its connections."""


@frozen
class Patience:
    """How long a phone that does not come up is tried again. Times in seconds."""

    open_for_s: float = 3.0
    """A phone can enumerate before it is ready, and udev may still have to give us its node."""
    open_step_s: float = 0.1
    quarantine_s: float = 1.0
    """First rest of a phone that failed; doubled with each further failure."""
    longest_quarantine_s: float = 60.0
    steady_after_s: float = 10.0
    """A phone that worked for so long has no history of failures."""


class DeviceAttendant:
    """One task for each phone, from plug to unplug. Implements `BusListener`.

    A phone that cannot be opened, does not shake hands or breaks the protocol is tried again as long as it is
    plugged in, after a growing rest, and from then on with its configuration set anew.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        registry: DeviceRegistry,
        settings: MuxSettings,
        patience: Patience | None = None,
        counts: Counts | None = None,
        moderation: Moderation | None = None,
        preflight: "Preflight | None" = None,
    ) -> None:
        self._loop: Final = loop
        self._registry: Final = registry
        self._settings: Final = settings
        self._patience: Final = patience or Patience()
        self._tasks: Final[dict[UsbCandidate, asyncio.Task[None]]] = {}
        self._links: Final[dict[UsbCandidate, DeviceLink]] = {}
        self._lives: Final[dict[UsbCandidate, PhoneLife]] = {}
        self._counts: Final = counts or Counts()
        self._moderation: Final = moderation or Moderation()
        self._preflight: Final = preflight
        self._gone: Final[set[UsbCandidate]] = set()
        """Left the bus while their links were still up."""
        self._arriving: Final[set[UsbCandidate]] = set()
        self._settled: Final = asyncio.Event()
        self._settled.set()
        self._is_closing = False

    def device_arrived(self, candidate: UsbCandidate) -> None:
        """See `BusListener`."""
        self._arriving.add(candidate)
        self._settled.clear()
        self._lives[candidate] = life = PhoneLife(candidate.name.partition(" ")[0])
        task = self._loop.create_task(self._attend(candidate, life), name=f"phone at {candidate.name}")
        self._tasks[candidate] = task
        task.add_done_callback(lambda _task: self._forget(candidate))

    def device_left(self, candidate: UsbCandidate) -> None:
        """See `BusListener`. An open pipe says so itself; this ends the attempts to open one."""
        logger.debug("%s: left the bus", candidate.name)
        if candidate in self._links:
            # Its task is not cancelled: cutting short the closing of the pipe would leave the device claimed.
            self._gone.add(candidate)
        elif candidate in self._tasks:
            self._tasks[candidate].cancel()

    def statuses(self) -> tuple[PhoneStatus, ...]:
        """The phones that are plugged in, in the order in which they came."""
        now = self._loop.time()
        return tuple(life.status(now) for life in self._lives.values())

    async def wait_settled(self, timeout_s: float) -> None:
        """Wait until every phone that arrived is attached or given up for now, but not longer than that."""
        await asyncio.sleep(0)  # a bus may report what is there in the loop's next turn
        try:
            await asyncio.wait_for(self._settled.wait(), timeout_s)
        except TimeoutError:
            logger.info("still waiting for %s", ", ".join(candidate.name for candidate in self._arriving))

    async def close(self) -> None:
        """Let go of every phone."""
        self._is_closing = True
        tasks = dict(self._tasks)
        for candidate, task in tasks.items():
            if (link := self._links.get(candidate)) is not None:
                link.shut_down("usbmuxd is shutting down")
            else:
                task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _attend(self, candidate: UsbCandidate, life: PhoneLife) -> None:
        """The life of one phone. It is the bus that says when that is over: then this is cancelled, or finds out."""
        failures, told = 0, ""
        while True:
            started = self._loop.time()
            try:
                reason, is_gone = await self._serve(candidate, life, anew=failures > 0)
            except OSError as error:
                # It may have said that it would go, and have stayed; or the system had nothing left to look with, of
                # which a `UsbError` tells as a rule, but not where it is memory.
                reason, is_gone = str(error), isinstance(error, UsbDisconnectedError)
            if self._is_closing or candidate in self._gone:
                return
            is_steady = self._loop.time() - started >= self._patience.steady_after_s
            failures = 1 if is_steady else failures + 1
            self._settle(candidate)
            self._counts.phone_failures += not is_gone
            rest_s = self._rest_s(failures)
            level = logging.DEBUG if reason == told else logging.INFO if is_gone else logging.ERROR
            logger.log(level, "%s: %s; looking again in %g s", candidate.name, reason, rest_s)
            told = reason
            life.quarantined(reason, self._loop.time() + rest_s)
            await asyncio.sleep(rest_s)  # one that is only gone leaves the bus meanwhile, which ends this task
            life.opening()

    async def _serve(self, candidate: UsbCandidate, life: PhoneLife, *, anew: bool) -> tuple[str, bool]:
        """Open the phone and serve it until its link ends; return why it did, and whether the phone is gone.

        Raises:
            UsbError: It could not be opened.
        """
        pipe = await self._open(candidate, anew=anew)
        life.opened(pipe.info)
        self._links[candidate] = link = DeviceLink(pipe, self._settings, self._loop, self._counts, self._moderation)
        device_id: int | None = None
        try:
            link.start()
            if await link.ready and not link.ended.done():
                device_id = self._registry.attach(link).device_id
                link.detach = partial(self._registry.detach, device_id)
                life.attached(device_id, self._counts.phone_attached(pipe.info.serial_number, self._loop.time()))
                fields = {"udid": pipe.info.serial_number, "device": device_id}
                where = (pipe.info.serial_number, device_id, candidate.name)
                logger.info("%s: attached as device %d at %s", *where, extra=fields)
                self._settle(candidate)
                if self._preflight is not None:
                    self._preflight.phone_attached(link, device_id)
            reason = await link.ended
            logger.info("%s: %s", pipe.info.serial_number, reason, extra={"udid": pipe.info.serial_number})
            return reason, link.is_gone
        finally:
            link.shut_down("usbmuxd ends the link")
            if device_id is not None and self._preflight is not None:
                self._preflight.phone_detached(device_id)
            life.closing()
            try:
                await link.wait_sent(_LAST_PACKETS_S)
            finally:
                await pipe.close()
                del self._links[candidate]

    async def _open(self, candidate: UsbCandidate, *, anew: bool) -> BulkPipe:
        deadline = self._loop.time() + self._patience.open_for_s
        while True:
            try:
                return await candidate.open(anew=anew)
            except UsbDisconnectedError:
                raise
            except UsbError as error:
                if self._loop.time() >= deadline:
                    raise
                logger.debug("%s: not yet: %s", candidate.name, error)
            await asyncio.sleep(self._patience.open_step_s)

    def _rest_s(self, failures: int) -> float:
        patience = self._patience
        return min(patience.quarantine_s * (1 << min(failures - 1, 16)), patience.longest_quarantine_s)

    def _settle(self, candidate: UsbCandidate) -> None:
        self._arriving.discard(candidate)
        if not self._arriving:
            self._settled.set()

    def _forget(self, candidate: UsbCandidate) -> None:
        del self._tasks[candidate]
        del self._lives[candidate]
        self._gone.discard(candidate)
        self._settle(candidate)
