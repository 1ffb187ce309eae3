"""The daemon as a process: its signals, and what it tells the service manager."""

import asyncio
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from usbmux.commands.service_manager import ServiceManager
from usbmux.daemon.server import Daemon

logger = logging.getLogger("usbmux.daemon")
SETTLE_S: Final = 1.0
"""How long "ready" waits for the phones that are plugged in; clients are served meanwhile."""


def ignore_early_signals() -> None:
    """Let what may be asked of a daemon that serves not kill one that begins.

    It looks for phones and reads its configuration in any case. `DaemonProcess.serve` minds them.
    """
    if sys.platform != "win32":
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)


class DaemonProcess:
    """Runs a daemon until a signal ends it.

    Args:
        exits_when_idle: Whether USR1 ends it while no phone is attached.
        on_reload: Called for HUP.
        on_listening: Called once it listens: the moment to give up privileges. Files and phones come after.
        on_ready: Called once the phones that are plugged in are attached, or given up for now.
    """

    def __init__(
        self,
        daemon: Daemon,
        manager: ServiceManager,
        *,
        exits_when_idle: bool,
        on_reload: Callable[[], None],
        on_listening: Callable[[], None],
        on_ready: Callable[[], None],
    ) -> None:
        self._daemon: Final = daemon
        self._manager: Final = manager
        self._exits_when_idle: Final = exits_when_idle
        self._on_reload: Final = on_reload
        self._on_listening: Final = on_listening
        self._on_ready: Final = on_ready
        self._ended: Final = asyncio.Event()

    async def serve(self) -> None:
        """Serve until the end.

        Raises:
            OSError: An address cannot be bound, or the start failed otherwise.
            UsbError: A bus cannot be used at all.
        """
        self._add_signals()
        await self._daemon.start(self._on_listening)
        try:
            await self._serve_to_the_end()
        finally:
            await self._daemon.close()

    async def _serve_to_the_end(self) -> None:
        self._daemon.listen_for_forwards()
        await self._daemon.wait_settled(SETTLE_S)
        self._on_ready()
        self._manager.notify("READY=1", self._status())
        _forget_what_stays()
        alive = asyncio.ensure_future(self._show_life())
        try:
            await self._ended.wait()
        finally:
            alive.cancel()
            with suppress(asyncio.CancelledError):
                await alive
        self._manager.notify("STOPPING=1")

    def _add_signals(self) -> None:
        if sys.platform == "win32":
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            loop.add_signal_handler(number, self._ended.set)
        loop.add_signal_handler(signal.SIGUSR1, self._end_if_idle)
        loop.add_signal_handler(signal.SIGUSR2, self._daemon.rescan)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _end_if_idle(self) -> None:
        phones = len(self._daemon.registry.records())
        if not self._exits_when_idle:
            logger.warning("asked to end if idle, which is allowed by --enable-exit only")
        elif phones:
            logger.warning("asked to end if idle, but %d phones are attached", phones)
        else:
            self._ended.set()

    def _reload(self) -> None:
        self._manager.notify("RELOADING=1", f"MONOTONIC_USEC={_monotonic_us()}")
        self._on_reload()
        self._manager.notify("READY=1", self._status())

    async def _show_life(self) -> None:
        """The event loop turns; that is all that a watchdog can be told."""
        if self._manager.watchdog_s is None:
            return
        while True:
            self._manager.show_life(self._status())
            await asyncio.sleep(self._manager.watchdog_s / 2)  # as sd_watchdog_enabled(3) recommends

    def _status(self) -> str:
        return f"STATUS={len(self._daemon.registry.records())} phones, {self._daemon.client_count} clients"


def _forget_what_stays() -> None:
    """What is there now, modules above all, stays to the end; no later collection has to go through it again."""
    gc.collect()
    gc.freeze()


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000
