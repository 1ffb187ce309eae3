"""The daemon as a whole: owns listeners, clients and phones."""

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from usbmux import __version__
from usbmux.capture.trace_hub import TraceHub
from usbmux.capture.traced_bus import TracedBus
from usbmux.control.address import Address
from usbmux.daemon import client_link
from usbmux.daemon.admin import AdminServer
from usbmux.daemon.admission import Admission, ClientLimits
from usbmux.daemon.attendant import DeviceAttendant
from usbmux.daemon.client_link import ClientLink
from usbmux.daemon.client_table import ClientTable, ServedClient
from usbmux.daemon.complaints import Complaints
from usbmux.daemon.counts import Counts, Traffic
from usbmux.daemon.device_stream import DeviceStream
from usbmux.daemon.forward_file import ForwardFile
from usbmux.daemon.forward_listener import ForwardListener
from usbmux.daemon.forwarded_client import ForwardedClient
from usbmux.daemon.kept_forwards import KeptForwards
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.listener import Listener
from usbmux.daemon.moderation import Moderation
from usbmux.daemon.pairing import PairRecordStore
from usbmux.daemon.pass_through import PassThrough
from usbmux.daemon.patience import Patience
from usbmux.daemon.peer import UNKNOWN, Peer, peer_of, unix_peer_of
from usbmux.daemon.policy import Permission, Policy, Rule
from usbmux.daemon.registry import DeviceRegistry
from usbmux.daemon.requests import RequestAnswerer
from usbmux.daemon.settings import DaemonSettings
from usbmux.daemon.socket_watch import SocketWatch, make_socket_watch
from usbmux.daemon.tls import check_exposure
from usbmux.daemon.unread import Unread
from usbmux.direct_loop import DirectLoop
from usbmux.farewell import Farewells
from usbmux.mux.segment_packet import HEADERS_LENGTH
from usbmux.tls_front import SOCKETS_BESIDES, TlsFront, server_context
from usbmux.usb.pipe import UsbBus

if TYPE_CHECKING:
    from usbmux.daemon.metrics_server import MetricsServer
    from usbmux.daemon.preflight import Preflight

logger = logging.getLogger("usbmux.daemon")

_SHUTTING_DOWN: Final = "usbmuxd is shutting down"


class Daemon:
    """Serves the phones of some buses to local programs. Lives in one event loop.

    `start`, then `close`; or use it as an asynchronous context manager. Implements `ClientHost` and `ForwardHost`.
    """

    def __init__(self, settings: DaemonSettings, buses: Sequence[UsbBus]) -> None:
        self.counts: Counts = Counts()
        self.complaints: Complaints = Complaints(time.monotonic)
        self.unread: Unread = Unread()
        self.moderation: Moderation = Moderation()
        self.registry: DeviceRegistry = DeviceRegistry()
        self._pair_records: Final = PairRecordStore(settings.pair_record_directory)
        self.answerer: RequestAnswerer = RequestAnswerer(self.registry, self._pair_records, self.counts)
        self.hub: Final = TraceHub()
        """Where traces of the phones' links are added and removed, at any time."""
        self._forwards: KeptForwards | None = None
        self._settings: Final = settings
        self._buses: Final = tuple(TracedBus(bus, self.hub) for bus in buses)
        self._admin: AdminServer | None = None
        self._metrics: MetricsServer | None = None
        self._preflight: Preflight | None = None
        self._started_at = time.time()
        self._listeners: list[Listener] = []
        self._fronts: list[TlsFront] = []
        self.clients: Final = ClientTable()
        """Who is served now."""
        self._last_number = 0
        self._admission: Final = Admission(settings.client_limits)
        self._policy = Policy(settings.rules)

    async def __aenter__(self) -> "Daemon":
        await self.start()
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.close()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, with the ports that the system has chosen."""
        return tuple(listener.address for listener in self._listeners)

    @property
    def metrics_address(self) -> Address | None:
        """Where Prometheus may ask, with the port that the system has chosen; None if nowhere."""
        return self._metrics.address if self._metrics is not None else None

    async def start(self, on_listening: Callable[[], None] | None = None) -> None:
        """Listen at every address and watch every bus.

        Args:
            on_listening: Called between the two and before its files are looked at: the moment to give up rights.

        Raises:
            ConfigurationError: An address can be reached by those who should not.
            OSError: An address cannot be bound, or the directory of the pair records must not be used.
            UsbError: A bus cannot be used at all.
        """
        self._loop = asyncio.get_running_loop()
        self.watch: SocketWatch = make_socket_watch(self._loop)
        self.patience: Patience = Patience(self._loop, client_link.REQUEST_TIMEOUT_S)
        self.farewells: Farewells = Farewells(self._loop)
        self._preflight = self._made_preflight() if self._settings.preflight else None
        self._attendant = DeviceAttendant(
            self._loop,
            self.registry,
            self._settings.mux,
            counts=self.counts,
            moderation=self.moderation,
            preflight=self._preflight,
        )
        if isinstance(self._loop, DirectLoop):
            self._loop.direct.pause = self.moderation.pause
        try:
            forwards = self._listen()
            if on_listening is not None:
                on_listening()
            self._pair_records.prepare()
            forwards.load()
            for bus in self._buses:
                await bus.start(self._attendant)
        except BaseException:
            await self.close()
            raise
        for settings, listener in zip(self._settings.listen, self._listeners, strict=True):
            if settings.handed is None:
                listener.start()
        if self._admin is not None:
            self._admin.start()
        if self._metrics is not None:
            self._metrics.start()

    def _listen(self) -> KeptForwards:
        """Bind every address; nobody is accepted yet."""
        for settings in self._settings.listen:
            self._listeners.append(self._listener(settings))
        file = ForwardFile(self._settings.pair_record_directory)
        arrived = self._forwarded_client_arrived
        self._forwards = forwards = KeptForwards(self._loop, file, self.registry, self.clients, arrived)
        if self._settings.admin_listen is not None:
            self._admin = self._admin_server(self._settings.admin_listen, forwards)
        if self._settings.metrics_listen is not None:
            self._metrics = self._metrics_server(self._settings.metrics_listen)
        return forwards

    async def wait_settled(self, timeout_s: float) -> None:
        """Wait until every phone that was there at the start is attached or given up, but not longer than that.

        Sockets that were handed over are served from then on: a client whose connect has started the daemon, or that
        has waited for its restart, would find no phones before.
        """
        await self._attendant.wait_settled(timeout_s)
        for listener in self._listeners:
            listener.start()

    def listen_for_forwards(self) -> None:
        """Take up the forwards that were kept, once the rights are given up that they must not have."""
        assert self._forwards is not None, "started before"
        self._forwards.listen()

    def rescan(self) -> None:
        """Look for phones that a bus did not report."""
        for bus in self._buses:
            bus.rescan()

    @property
    def client_count(self) -> int:
        """Clients that are served now, streams included."""
        return len(self.clients)

    def reconfigure(self, rules: Sequence[Rule], limits: ClientLimits) -> None:
        """Let other rules and limits hold for clients that come from now on."""
        self._policy = Policy(rules)
        self._admission.limits = limits

    async def close(self) -> None:
        """End everything: clients, streams, phones, buses. Idempotent."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        forwards, self._forwards = self._forwards, None
        if forwards is not None:
            forwards.stop_listening()
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.stop_listening()
        metrics, self._metrics = self._metrics, None
        if metrics is not None:
            await metrics.close()
        for owner in [client.owner for client in self.clients]:
            if isinstance(owner, ClientLink):
                owner.close(_SHUTTING_DOWN)
        for owner in [client.owner for client in self.clients]:
            if isinstance(owner, PassThrough | ForwardedClient):
                owner.close(_SHUTTING_DOWN)
        if self._preflight is not None:
            await self._preflight.close()
        await self.answerer.close()
        for front in self._fronts:
            await front.close()
        self._fronts.clear()
        await self._attendant.close()
        for bus in self._buses:
            await bus.close()
        if admin is not None:
            admin.close()
        if forwards is not None:
            forwards.close()
        self.watch.close()
        self.patience.close()
        self.farewells.close()

    def _listener(self, settings: ListenSettings) -> Listener:
        check_exposure(settings)

        def arrived(sock: socket.socket) -> None:
            peer = unix_peer_of(sock) if listener.is_unix else UNKNOWN
            self._client_arrived(sock, peer, listener.address, settings.permission)

        on_client = arrived
        if settings.tls is not None:
            # Its plain socket would be connected by ourselves.
            front = TlsFront(
                self._loop,
                server_context(settings.tls),
                partial(self.complaints.warn, UNKNOWN, "%s"),
                lambda sock: self._client_arrived(sock, UNKNOWN, listener.address, settings.permission),
                admit=partial(self._admission.admit, UNKNOWN.uid, SOCKETS_BESIDES),
                release=partial(self._admission.release, UNKNOWN.uid, SOCKETS_BESIDES),
            )
            self._fronts.append(front)
            on_client = front.accept
        listener = Listener(
            self._loop, settings.address, settings.mode, on_client, group=settings.group, handed=settings.handed
        )
        return listener

    def _admin_server(self, listen: ListenSettings, forwards: KeptForwards) -> AdminServer:
        phones, backlog = self._attendant.statuses, self._settings.capture_backlog
        clients, counts = self.clients, self.counts
        return AdminServer(self._loop, listen, self.hub, self.farewells, phones, clients, counts, forwards, backlog)

    def _made_preflight(self) -> "Preflight":
        from usbmux.daemon.preflight import Preflight  # here, because without it no daemon needs TLS with phones

        return Preflight(self.answerer)

    def _metrics_server(self, listen: ListenSettings) -> "MetricsServer":
        # Imported here: they are off unless asked for, and a daemon should not start slower for them.
        from usbmux.daemon.exposition import expose
        from usbmux.daemon.metrics import Snapshot, metrics_of
        from usbmux.daemon.metrics_server import MetricsServer

        def document() -> bytes:
            snapshot = Snapshot(
                version=__version__,
                started_at=self._started_at,
                phones=Counter(phone.state for phone in self._attendant.statuses()),
                clients=self.clients.activities(),
                streams=tuple(self.clients.traffic()),
                now=self._loop.time(),
                refused=self._admission.refused,
                without_descriptor=sum(listener.refused for listener in self._listeners),
                counts=self.counts,
            )
            return expose(metrics_of(snapshot))

        return MetricsServer(self._loop, listen, document, self.complaints)

    # Clients

    def _client_arrived(self, sock: socket.socket, peer: Peer, address: Address, permission: Permission | None) -> None:
        if (number := self._admit(sock, peer)) is not None:
            client = ClientLink(self._loop, self, sock, number, peer, self._policy.view(peer, permission))
            self.clients.add(ServedClient(number, peer, address, time.monotonic(), sock, client))
            client.start()

    def _admit(self, sock: socket.socket, peer: Peer) -> int | None:
        """A number for the newcomer, unless there are too many."""
        self._last_number += 1
        self.moderation.begin_anew()
        refusal = self._admission.admit(peer.uid)
        if refusal is None:
            return self._last_number
        self.complaints.warn(peer, "refused a client (%s): %s", peer, refusal)
        sock.close()
        return None

    def client_ended(self, client: ClientLink) -> None:
        """See `ClientHost`."""
        self._client_ended(client.number)

    def _client_ended(self, number: int) -> None:
        client = self.clients.remove(number)
        self.farewells.when_closed(client.sock, partial(self._admission.release, client.peer.uid))

    def client_connected(
        self, client: ClientLink, sock: socket.socket, stream: DeviceStream, greeting: bytes, early: bytes
    ) -> None:
        """See `ClientHost`."""
        self._join(client, sock, stream, greeting=greeting, early=early)

    def _join(
        self,
        client: ClientLink | ForwardedClient,
        sock: socket.socket,
        stream: DeviceStream,
        *,
        greeting: bytes,
        early: bytes,
    ) -> None:
        if logger.isEnabledFor(logging.INFO):
            fields = {"client": client.number, "peer": client.peer, "udid": stream.udid}
            logger.info("%s: connected to %s", client, stream, extra=fields)

        pass_through = PassThrough(
            self._loop,
            self.watch,
            self.farewells,
            sock,
            stream,
            packet_size=self._settings.mux.max_packet_length - HEADERS_LENGTH,
            greeting=greeting,
            early=early,
            linger_s=self._settings.mux.linger_s,
            on_end=partial(self._stream_ended, client.number),
        )
        self.clients.hand_over(client.number, pass_through)
        pass_through.start()

    def _stream_ended(self, number: int, traffic: Traffic) -> None:
        self.counts.stream_ended(traffic, time.monotonic())
        self._client_ended(number)

    # Programs that come by kept forwards

    def _forwarded_client_arrived(self, forward: ForwardListener, sock: socket.socket) -> None:
        peer, kept = peer_of(sock), forward.kept
        if (number := self._admit(sock, peer)) is not None:
            client = ForwardedClient(self._loop, self, sock, number, peer, kept.udid, kept.port)
            self.clients.add(ServedClient(number, peer, forward.address, time.monotonic(), sock, client))
            client.start()

    def forwarded_client_connected(self, client: ForwardedClient, sock: socket.socket, stream: DeviceStream) -> None:
        """See `ForwardHost`."""
        self._join(client, sock, stream, greeting=b"", early=b"")

    def forwarded_client_ended(self, client: ForwardedClient) -> None:
        """See `ForwardHost`."""
        self._client_ended(client.number)
