"""The simulated phone: port handlers as asyncio tasks behind the sans-IO device, pluggable into a `SimulatedBus`."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final, Protocol, Self, assert_never

from usbmux.errors import LocalProtocolError, UsbmuxError
from usbmux.mux.packet import ControlKind
from usbmux.testing.device import ConnectionProgressed, ConnectionRequested, DeviceMux
from usbmux.testing.device_connection import ConnectionState, DeviceConnection
from usbmux.testing.options import VERSIONS, PhoneOptions, check_options
from usbmux.testing.ports import AcceptsLate, PortHandler
from usbmux.testing.stream import PhoneStream
from usbmux.usb.function import UsbFunction
from usbmux.usb.pipe import UsbDeviceInfo

DEFAULT_UDID: Final = "00008030-001A2B3C4D5E6F01"
_PRODUCT_ID: Final = 0x12A8
_HIGH_SPEED: Final = 480_000_000
_LEAVE_S: Final = 0.2
_MAX_REASON_LENGTH: Final = 1024
_EXPECTED: Final = (EOFError, OSError, UsbmuxError)
"""How handlers end when the host, or a server they lead to, does; anything else is a mistake in one of them."""


class Bus(Protocol):
    """What a phone is on, such as a `usbmux.usb.simulated.SimulatedBus`."""

    def plug(self, function: UsbFunction) -> None:
        """Put it there; raises `LocalProtocolError` if it is."""

    def unplug(self, function: UsbFunction) -> None:
        """Take it away; raises `LocalProtocolError` if it is not there."""


class Pluggable(Protocol):
    """What can be plugged in: a `SimulatedPhone`, or something around one."""

    @property
    def device(self) -> "SimulatedPhone":
        """The phone as a bus has it."""

    @property
    def summary(self) -> str:
        """What it is, for people."""


class SimulatedPhone:
    """A phone that keeps the protocol to the letter and insists that the host does.

    It is plugged into a `usbmux.usb.simulated.SimulatedBus`. Each connection to one of its ports runs that port's
    handler as a task. When the handler returns, the phone sends what is left and resets the connection, as phones
    do; when it raises, the text of the exception is the reason. Unplugging cancels the handlers.

    Args:
        udid: Its serial number.
        ports: Handlers by port number; see `usbmux.testing.ports`.
        version: Major version of the mux protocol: 1, 2, or any other that no host can speak.
        options: Sizes, windows and faults.
        strict: Whether it acts on a broken rule (resets the connection, or stops answering when the framing is
            broken). It records the rule in either case.

    Raises:
        LocalProtocolError: A version or an option that fits in no header, or with which nothing could ever be sent.
    """

    def __init__(
        self,
        udid: str = DEFAULT_UDID,
        *,
        ports: Mapping[int, PortHandler] | None = None,
        version: int = 2,
        options: PhoneOptions | None = None,
        strict: bool = True,
    ) -> None:
        self.version = version
        self.options = options or PhoneOptions()
        if version not in VERSIONS:
            raise LocalProtocolError(f"version: expected a number of 32 bits, found {version}")
        check_options(self.options)
        self.strict = strict
        self.violations: list[str] = []
        """Every rule that the host broke, in words, since the phone was made."""
        self._ports = dict(ports or {})
        self._info = UsbDeviceInfo(udid, _PRODUCT_ID, location_id=0, connection_speed=_HIGH_SPEED, port_path="")
        self._session: _Session | None = None
        self._bus: Bus | None = None

    def __repr__(self) -> str:
        return f"SimulatedPhone({self.udid!r})"

    @property
    def device(self) -> Self:
        """Itself, see `Pluggable`."""
        return self

    @property
    def summary(self) -> str:
        """What it is, for people."""
        return f"phone without lockdown, ports: {', '.join(map(str, sorted(self._ports))) or 'none'}"

    @property
    def udid(self) -> str:
        """Its serial number."""
        return self._info.serial_number

    @property
    def info(self) -> UsbDeviceInfo:
        """Who it is; where it is, the bus knows."""
        return self._info

    @property
    def max_packet_size(self) -> int:
        """The bulk endpoints' wMaxPacketSize, in bytes."""
        return self.options.max_packet_size

    @property
    def ports(self) -> Mapping[int, PortHandler]:
        """The open ports now."""
        return dict(self._ports)

    def add_port(self, port: int, handler: PortHandler) -> None:
        """Open a port, or give it another handler for the connections to come."""
        self._ports[port] = handler

    def remove_port(self, port: int) -> None:
        """Refuse connections to this port from now on; those that are open stay."""
        self._ports.pop(port, None)

    def send_control(self, kind: ControlKind, text: str) -> None:
        """Send a CONTROL packet, if the phone is connected."""
        if self._session is not None:
            self._session.send_control(kind, text)

    def plug_into(self, bus: Bus) -> None:
        """Plug it into a bus that it can leave by itself.

        Raises:
            LocalProtocolError: It is plugged in already.
        """
        bus.plug(self)
        self._bus = bus

    def leave(self, *, back_after_s: float | None = None) -> None:
        """Leave the bus by itself, a fifth of a second later, so that hosts get what was sent before.

        Must run in its loop.

        Without `plug_into` there is nothing that it could leave.

        Args:
            back_after_s: When it comes back, in seconds after it has left; None for never.
        """
        if self._bus is not None:
            asyncio.get_running_loop().call_later(_LEAVE_S, self._leave, self._bus, back_after_s)

    def _leave(self, bus: Bus, back_after_s: float | None) -> None:
        with suppress(LocalProtocolError):  # somebody has pulled the plug meanwhile, and means it
            bus.unplug(self)
            if back_after_s is not None:
                asyncio.get_running_loop().call_later(back_after_s, self._come_back, bus)

    def _come_back(self, bus: Bus) -> None:
        with suppress(LocalProtocolError):  # somebody has plugged it in meanwhile
            bus.plug(self)

    def connected(self, send: Callable[[bytes], None]) -> None:
        """The host opened the pipe; called by the bus."""
        self._session = _Session(self, self._ports, send)

    def bulk_out(self, data: bytes) -> None:
        """The host sent something; called by the bus."""
        if self._session is not None:
            self._session.receive_data(data)

    def disconnected(self) -> None:
        """The pipe is closed or the phone unplugged; called by the bus."""
        if self._session is not None:
            self._session.end()
            self._session = None


class _Session:
    """One phone while its pipe is open."""

    def __init__(self, phone: SimulatedPhone, ports: Mapping[int, PortHandler], send: Callable[[bytes], None]) -> None:
        self._ports = ports
        self._send = send
        self._options = phone.options
        self._loop = asyncio.get_running_loop()
        self._mux = DeviceMux(
            ports.__contains__,
            version=phone.version,
            options=phone.options,
            strict=phone.strict,
            violations=phone.violations,
        )
        self._streams: dict[DeviceConnection, PhoneStream] = {}
        self._tasks: dict[DeviceConnection, asyncio.Task[None]] = {}
        self._unflushed: dict[DeviceConnection, None] = {}
        self._is_flush_due = False

    def receive_data(self, data: bytes) -> None:
        self._mux.receive_data(data)
        self._handle_events()
        self._schedule_flush()

    def send_control(self, kind: ControlKind, text: str) -> None:
        self._mux.send_control(kind, text)
        self._schedule_flush()

    def end(self) -> None:
        self._mux.lose_connections()
        self._handle_events()  # wakes whoever waits for a stream besides its handler
        for task in self._tasks.values():
            task.cancel()

    def _handle_events(self) -> None:
        while (event := self._mux.next_event()) is not None:
            match event:
                case ConnectionRequested(connection):
                    self._open(connection)
                case ConnectionProgressed(connection):
                    self._progress(connection)
                case _:
                    assert_never(event)

    def _open(self, connection: DeviceConnection) -> None:
        stream = PhoneStream(connection, self._flush_connection)
        self._streams[connection] = stream
        handler = self._ports[connection.port]
        if isinstance(handler, AcceptsLate):
            self._run(handler, connection, stream)
        else:
            connection.accept()

    def _progress(self, connection: DeviceConnection) -> None:
        stream = self._streams.get(connection)
        if stream is None:
            return
        if connection not in self._tasks:
            if connection.state is ConnectionState.CLOSED:
                del self._streams[connection]
                return
            if connection.state is ConnectionState.ESTABLISHED:
                self._run(self._ports.get(connection.port, _gone), connection, stream)
        stream.wake()

    def _run(self, handler: PortHandler, connection: DeviceConnection, stream: PhoneStream) -> None:
        name = f"port {connection.port} for {connection.host_port}"
        task = self._loop.create_task(self._serve(handler, connection, stream), name=name)
        self._tasks[connection] = task

    async def _serve(self, handler: PortHandler, connection: DeviceConnection, stream: PhoneStream) -> None:
        try:
            await handler(stream)
        except Exception as error:  # any: a handler is foreign code, and its failure is the phone's reset
            connection.reset(_reason(error))
            if not isinstance(error, _EXPECTED):
                message = f"the handler of port {connection.port} has failed"
                self._loop.call_exception_handler({"message": message, "exception": error})
        else:
            connection.close()
        finally:
            del self._tasks[connection]
            del self._streams[connection]
            self._flush_connection(connection)

    def _flush_connection(self, connection: DeviceConnection) -> None:
        self._unflushed[connection] = None
        self._schedule_flush()

    def _schedule_flush(self) -> None:
        # In the loop's next turn, so that an acknowledgement can ride on the data that answers it.
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        unflushed, self._unflushed = self._unflushed, {}
        for connection in unflushed:
            connection.flush()
        for transfer in _cut_transfers(self._mux.take_packets(), self._options):
            self._send(transfer)


def _reason(error: Exception) -> bytes:
    """What the reset says: any text, as far as it fits in one packet with ease."""
    return (str(error) or type(error).__name__).encode(errors="replace")[:_MAX_REASON_LENGTH]


async def _gone(stream: PhoneStream) -> None:
    """Serves a port that was removed between SYN and handshake."""


def _cut_transfers(packets: list[bytes], options: PhoneOptions) -> Iterable[bytes]:
    transfers = [b"".join(packets)] if options.join_transfers else packets
    size = options.split_transfers
    if not size:
        return transfers
    return (transfer[start : start + size] for transfer in transfers for start in range(0, len(transfer), size))
