"""The pauses of the loop while a stream comes from a phone, or goes to one.

A packet comes every few hundred microseconds on USB 2, and is a turn of the loop of its own. Most of what a turn takes,
from waking up to the acknowledgement, is the same for ten packets. So the loop pauses between turns, as network cards
keep their interrupts apart, but only while nobody can be waiting for what is held up: while much comes from phones,
nothing goes to them, and nobody asks for anything (see `DownloadPause`); or while much goes to one phone, and nothing
comes but to the same connection (see `UploadPause`).
"""

import time
from collections.abc import Callable
from typing import Final

from usbmux.daemon.download_pause import DownloadPause
from usbmux.daemon.short_sleep import ShortSleep
from usbmux.daemon.upload_pause import UploadPause
from usbmux.mux.connection import TcpConnection
from usbmux.usb.drain import Drain

_STREAM: Final = 256 * 1024
"""Bytes after which it is an upload, and no question to which somebody waits for the answer."""
_UPLOAD_REST: Final = 64 << 20
"""Bytes of an upload for which it is let be, if pauses have been in vain."""


class Moderation:
    """Pauses between the turns of the loop.

    Args:
        now: The clock, in seconds.
        sleep: Sleeps for so many seconds, or a little longer.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._now: Final = now
        self._sleep: Final = ShortSleep(now, sleep)
        self._download_pause: Final = DownloadPause()
        self._upload_pause: Final = UploadPause()
        self._uploaded = 0
        """Bytes to one phone since anything else was moved or asked for."""
        self._uploader: TcpConnection | None = None
        """The connection that they went to, if it was one only."""
        self._was_answered = False
        """Whether something came from it since we last were asked for a pause."""
        self._is_upload = False
        """Whether there were enough of them when we last were asked for a pause."""
        self._drain: Drain | None = None
        """Of that phone."""

    def came(self, connection: TcpConnection, count: int, packet: int, now: float) -> None:
        """Payload of a connection came from a phone; told behind its delivery.

        Args:
            connection: Which.
            count: How many bytes.
            packet: How many of them in one packet.
            now: When they came.
        """
        if connection is not self._uploader:
            self._uploaded = 0
        elif self._uploaded:
            self._was_answered = True
            self._upload_pause.counterflow.came(count, packet, connection.rcv_wnd, now)
        self._download_pause.came(count, packet, connection.rcv_wnd, now)

    def went(self, connection: TcpConnection, count: int, drain: Drain) -> None:
        """So many bytes of payload of a connection were handed to the pipe of a phone."""
        if drain is not self._drain:
            self._uploaded, self._drain = 0, drain
        if connection is not self._uploader:
            self._uploader = None if self._uploaded else connection
        self._uploaded += count
        if self._download_pause.count:
            self._download_pause.begin_anew()

    def begin_anew(self) -> None:
        """Something was queued for a phone, or somebody asked for something."""
        self._uploaded = 0
        self._download_pause.begin_anew()

    def client_fell_behind(self) -> None:
        """Somebody takes less than comes: the next turn is that client's."""
        self._download_pause.client_fell_behind()

    def ran_low(self) -> None:
        """A phone has had to wait until we were awake, or soon would; told behind what it has brought."""
        self._download_pause.ran_low()

    def pause(self) -> float:
        """Sleep before the loop looks for events again, if that pays. To be called once for each turn, at its end.

        Returns:
            For how many seconds it was meant to be.
        """
        if self._was_answered:
            self._was_answered = False
            assert self._drain is not None
            if not self._drain.in_flight:  # so what comes next may be because of that
                self._uploaded = 0
        if self._uploaded >= _STREAM:
            return self._pause_upload()
        if self._is_upload:
            self._is_upload = False
            self._upload_pause.end()
        if self._download_pause.is_download:
            return self._pause_download()
        return 0.0

    def _pause_upload(self) -> float:
        assert self._drain is not None
        self._is_upload = True
        now = self._now()
        if length_s := self._upload_pause.length(self._drain, self._uploaded, now):
            asked_s = self._sleep(length_s, now)
            self._upload_pause.slept(was_as_usual=self._sleep.was_as_usual)
            return asked_s
        if self._upload_pause.is_in_vain:
            self._uploaded = -_UPLOAD_REST
        return 0.0

    def _pause_download(self) -> float:
        now = self._now()
        if length_s := self._download_pause.length(now):
            asked_s = self._sleep(length_s, now)
            self._download_pause.slept(now, self._sleep.took_s, was_as_usual=self._sleep.was_as_usual)
            return asked_s
        return 0.0
