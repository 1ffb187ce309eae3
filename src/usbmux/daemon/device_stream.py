"""One connection to a port of a phone, as whoever owns it sees it."""

import socket
from typing import Final

from usbmux.admin.message import ConnectionState, ConnectionStatus
from usbmux.daemon.counts import Traffic
from usbmux.daemon.device_link import DeviceLink, StreamHandler


class DeviceStream:
    """A connection to a port of one phone. It begins at once, and the handler hears how that went.

    Args:
        link: To the phone.
        port: Of the phone.
        handler: What becomes of the stream, until `set_handler` names another.

    Raises:
        LocalProtocolError: The phone is not ready, or no source port is free.
    """

    __slots__ = ("_link", "_since", "connection")

    def __init__(self, link: DeviceLink, port: int, handler: StreamHandler) -> None:
        now = link.now()
        self.connection: Final = link.session.connect(port, now)
        """To be looked at: `send` takes as many bytes as its `send_room`."""
        self._link = link
        self._since = now
        link.handlers[self.connection] = handler
        link.turn(now)

    def __str__(self) -> str:
        connection = self.connection
        return f"{self.udid}:{connection.remote_port} (source port {connection.local_port})"

    @property
    def udid(self) -> str:
        """Of the phone."""
        return self._link.info.serial_number

    def status(self, client: int, now: float, traffic: Traffic | None = None, *, backlog: int = 0) -> ConnectionStatus:
        """All that is known of it.

        Args:
            client: Number of the client that it is for.
            now: The loop's time.
            traffic: What it has moved, if it can.
            backlog: How many bytes the client has not taken.
        """
        connection = self.connection
        phone_stalls, phone_stalled_s = traffic.phone_stalls.until(now) if traffic else (0, 0.0)
        client_stalls, client_stalled_s = traffic.client_stalls.until(now) if traffic else (0, 0.0)
        return ConnectionStatus(
            client=client,
            udid=self.udid,
            port=connection.remote_port,
            local_port=connection.local_port,
            state=ConnectionState[connection.state.name],
            age_s=round(now - self._since, 3),
            send_room=connection.send_room,
            bytes_to_phone=traffic.bytes_to_phone if traffic else 0,
            bytes_from_phone=traffic.bytes_from_phone if traffic else 0,
            backlog=backlog,
            phone_stalls=phone_stalls,
            phone_stalled_s=round(phone_stalled_s, 3),
            client_stalls=client_stalls,
            client_stalled_s=round(client_stalled_s, 3),
        )

    def set_handler(self, handler: StreamHandler) -> None:
        """Who hears of the stream from now on."""
        self._link.handlers[self.connection] = handler

    def send(self, data: bytes) -> None:
        """Queue at most `connection.send_room` bytes for the phone."""
        now = self._link.now()
        self._link.moderation.begin_anew()
        self._link.session.send(self.connection, data, now)
        self._link.turn(now)

    def send_from(self, sock: socket.socket, limit: int) -> int | None:
        """Send what a socket has, without copying it, if nothing has to go before.

        Args:
            sock: To be read from once.
            limit: The most to be read, in bytes: at most `connection.send_room`, and what one packet takes.

        Returns:
            How many bytes there were, 0 at the end; or None, and nothing was done: others go first, or the phone
            takes nothing now. Then `offer`.

        Raises:
            BlockingIOError: The socket has nothing now.
            OSError: It is broken.
        """
        link = self._link
        session = link.session
        egress = session.egress
        if (egress.may_have_packet and egress.granted is not self.connection) or self.connection.queue.length:
            return None
        pipe = link.pipe
        if (buffer := pipe.free_buffer()) is None:
            return None
        if count := sock.recv_into(buffer[egress.headers_length :], limit):
            pipe.write_buffer(session.send_at_once(self.connection, buffer, count))
            link.moderation.went(self.connection, count, pipe.drain)
        return count

    def offer(self, count: int) -> None:
        """Get in line for `send_from`: `StreamHandler.stream_turn_came` follows, once, unless the stream ends.

        Args:
            count: How many bytes there will be, about.
        """
        link = self._link
        link.session.offer(self.connection, count)
        if link.has_free_slot():
            link.turn(link.now())

    def acknowledge(self, count: int) -> None:
        """The client has taken `count` more bytes than `StreamHandler.stream_data_received` said."""
        now = self._link.now()
        self._link.session.acknowledge(self.connection, count, now)
        self._link.turn(now)

    def shutdown_write(self) -> None:
        """The client sends no more, but reads on."""
        now = self._link.now()
        self._link.session.shutdown_write(self.connection, now)
        self._link.turn(now)

    def close(self) -> None:
        """The client is gone; what was sent before still reaches the phone."""
        now = self._link.now()
        self._link.session.close(self.connection, now)
        self._link.turn(now)

    def abort(self, text: str) -> None:
        """Reset the connection at once, with a text for the phone's log."""
        now = self._link.now()
        self._link.session.abort(self.connection, text, now)
        self._link.turn(now)
