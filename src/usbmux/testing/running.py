"""A whole daemon with simulated phones, inside a test."""

import asyncio
import concurrent.futures
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from usbmux.client.programs import client_environment
from usbmux.control.address import Address, TcpAddress, UnixAddress
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.server import Daemon
from usbmux.daemon.settings import DaemonSettings
from usbmux.direct_loop import new_event_loop
from usbmux.errors import LocalProtocolError
from usbmux.mux.settings import MuxSettings
from usbmux.testing.phone import Pluggable, SimulatedPhone
from usbmux.testing.private_directory import private_directory
from usbmux.usb.simulated import SimulatedBus

T = TypeVar("T")
_SETTLE_S: Final = 1.0
"""How long the start waits for the handshakes of the phones."""


class RunningDaemon:
    """A daemon that serves while the context is open, in a thread and an event loop of its own.

    ::

        with RunningDaemon([SimulatedPhone(ports={22: tcp_endpoint("127.0.0.1", 2222)})]) as daemon:
            subprocess.run(["idevice_id", "-l"], env=os.environ | daemon.environment)

    Args:
        phones: Plugged in from the start: any `SimulatedPhone` or `usbmux.testing.iphone.VirtualIPhone`.
        addresses: Where to listen; None for a private Unix socket (a loopback port on Windows).
        pair_record_directory: None for a private one that goes with the daemon.
        mux: Deadlines and sizes.
        preflight: Whether it pairs with phones when they come.
        keeps_addresses: Whether a phone that is plugged in again has the address that it had.
    """

    def __init__(
        self,
        phones: Iterable[Pluggable] = (),
        *,
        addresses: Sequence[Address] | None = None,
        pair_record_directory: Path | None = None,
        mux: MuxSettings | None = None,
        preflight: bool = False,
        keeps_addresses: bool = False,
    ) -> None:
        self.phones: Final[list[SimulatedPhone]] = [phone.device for phone in phones]
        """Every phone that was ever plugged in."""
        self._directory: Final = private_directory("usbmux-")
        directory = Path(self._directory.name)
        private = TcpAddress("127.0.0.1", 0) if sys.platform == "win32" else UnixAddress(str(directory / "usbmuxd"))
        settings = DaemonSettings(
            listen=tuple(map(ListenSettings, (private,) if addresses is None else addresses)),
            pair_record_directory=pair_record_directory or directory / "lockdown",
            mux=mux or MuxSettings(),
            preflight=preflight,
        )
        self._bus: Final = SimulatedBus(keeps_addresses=keeps_addresses)
        self._daemon: Final = Daemon(settings, [self._bus])
        self._thread: Final = threading.Thread(target=self._run, name="usbmuxd", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started: Final = concurrent.futures.Future[None]()
        self._end: Final = asyncio.Event()

    def __enter__(self) -> Self:
        if self._loop is not None:
            raise LocalProtocolError("a daemon runs only once")
        try:
            self._loop = new_event_loop()  # not in the thread, where nobody would hear of a failure
            self._thread.start()
            self._started.result()
        except BaseException:  # it could not start, or we are interrupted while it does
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, with the ports that the system has chosen."""
        return self._daemon.addresses

    @property
    def address(self) -> Address:
        """The first of `addresses`."""
        return self.addresses[0]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that send other programs to this daemon, see `client_environment`."""
        return client_environment(self.address)

    @property
    def violations(self) -> list[str]:
        """What the phones held against the daemon; empty if all is well."""
        return [violation for phone in self.phones for violation in phone.violations]

    def plug(self, phone: Pluggable) -> None:
        """Plug a phone in; clients see it a moment later. Raises `LocalProtocolError` unless the daemon runs."""
        if phone.device not in self.phones:
            self.phones.append(phone.device)
        self._in_loop(lambda: phone.device.plug_into(self._bus))

    def unplug(self, phone: Pluggable) -> None:
        """Pull the plug. Raises `LocalProtocolError` unless the daemon runs."""
        self._in_loop(lambda: self._bus.unplug(phone.device))

    def _stop(self) -> None:
        if self._loop is not None and self._thread.ident is None:
            self._loop.close()
        elif self._loop is not None:
            with suppress(RuntimeError):  # the loop of a daemon that could not start is over already
                self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
        self._directory.cleanup()

    def _in_loop(self, work: Callable[[], T]) -> T:
        async def call() -> T:
            return work()

        if self._loop is None or not self._thread.is_alive():
            raise LocalProtocolError("the daemon is not running")
        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None, "made before the thread was started"
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            for phone in self.phones:
                phone.plug_into(self._bus)
            await self._daemon.start()
        except BaseException as error:
            self._started.set_exception(error)
            return
        try:
            await self._daemon.wait_settled(_SETTLE_S)
            self._started.set_result(None)
            await self._end.wait()
        finally:
            await self._daemon.close()
