"""Looks at a daemon once in a while, over one connection."""

import os
import time
from collections.abc import Callable
from typing import Final, Self

from usbmux.client.admin import AdminClient
from usbmux.client.admin_connection import AdminConnection
from usbmux.commands.top.background_capture import BackgroundCapture
from usbmux.commands.top.model import TopModel
from usbmux.commands.top.names import PhoneNames
from usbmux.commands.top.sample import Sample
from usbmux.errors import UsbmuxError


class Monitor:
    """One daemon, and the next one that serves there. Its calls may raise `UsbmuxError`, and go on after it.

    Args:
        client: Of the daemon.
        names: Of its phones.
        now: A clock that never goes back, in seconds.
    """

    def __init__(self, client: AdminClient, names: PhoneNames, now: Callable[[], float] = time.monotonic) -> None:
        self._client: Final = client
        self._names: Final = names
        self._now: Final = now
        self._connection: AdminConnection | None = None
        self._model = TopModel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._drop()

    def sample(self) -> Sample:
        """Return what the daemon is doing."""
        try:
            status = self._connected().status(detailed=True)
        except UsbmuxError:
            self._drop()
            raise
        return self._model.take(status, self._names.names(status.phones), self._now())

    def kick(self, client: int) -> bool:
        """End a client; whether it was there until now."""
        try:
            return self._connected().kick(client)
        except UsbmuxError:
            self._drop()
            raise

    def capture(self, udid: str | None, path: str) -> BackgroundCapture:
        """Begin to capture one phone, None for all, into a file that is not there yet."""
        return BackgroundCapture(self._client, udid, os.path.abspath(os.path.expanduser(path)))

    def interrupt(self) -> None:
        """Let the call under way fail. May be called from another thread."""
        if (connection := self._connection) is not None:
            connection.interrupt()

    def _connected(self) -> AdminConnection:
        if self._connection is None:
            self._connection = self._client.connect()
            self._model = TopModel()  # another daemon counts from 0
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
