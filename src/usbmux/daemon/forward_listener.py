"""One forward that is kept: it listens, or tries to."""

import asyncio
import errno
import ipaddress  # now, because a daemon that serves imports nothing more
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Final, assert_never

from usbmux.admin.forward import KeptForward
from usbmux.control.address import Address, TcpAddress, UnixAddress, parse_address
from usbmux.daemon.listener import Listener
from usbmux.daemon.tls import is_local
from usbmux.errors import AddressError

logger = logging.getLogger("usbmux.daemon.forward")

RETRY_S: Final = 5.0
"""After so long it tries again to listen where somebody else does."""
_MODE: Final = 0o660
"""Of the file of a Unix socket, as that of the daemon's own: who may use phones may use what leads to them."""


class ForwardListener:
    """Listens from `open` or `keep_trying` to `close`.

    Args:
        kept: What is to be forwarded.
        on_client: Gets this and each accepted socket, non-blocking.

    Raises:
        AddressError: That is no address, or a name of one.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        kept: KeptForward,
        on_client: Callable[["ForwardListener", socket.socket], None],
    ) -> None:
        self.kept = kept
        """With the port that the system has chosen, once it listens."""
        self.address: Address = _checked(parse_address(kept.listen))
        self.error: str | None = None
        """Why it does not listen."""
        self._loop: Final = loop
        self._on_client: Final = on_client
        self._listener: Listener | None = None
        self._retry: asyncio.TimerHandle | None = None

    @property
    def is_listening(self) -> bool:
        """Whether programs can connect."""
        return self._listener is not None

    def open(self) -> None:
        """Bind the local end; nobody is accepted yet.

        Raises:
            OSError: That is not possible.
        """
        try:
            self._listener = Listener(self._loop, self.address, _MODE, lambda sock: self._on_client(self, sock))
        except OSError as error:
            if error.errno != errno.EAFNOSUPPORT:
                raise
            raise OSError(
                error.errno, f"{error.strerror}: the service may not use TCP; docs/operations.md says how it may"
            ) from error
        self.address = self._listener.address
        self.kept = replace(self.kept, listen=str(self.address))
        self.error = None
        if not is_local(self.address):
            logger.warning("%s can be reached from other computers, and leads to a phone", self.address)

    def start(self) -> None:
        """Begin to accept."""
        if self._listener is not None:
            self._listener.start()

    def keep_trying(self) -> None:
        """Bind and accept, now or as soon as that is possible."""
        self._retry = None
        try:
            self.open()
        except (OSError, AddressError) as error:
            level = logging.DEBUG if self.error is not None else logging.ERROR
            self.error = in_words(error)
            logger.log(level, "%s; trying again every %g s", self.error, RETRY_S)
            self._retry = self._loop.call_later(RETRY_S, self.keep_trying)
        else:
            self.start()

    def close(self) -> None:
        """Listen no more. Idempotent."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()


def in_words(error: Exception) -> str:
    """Why, without the number of an `OSError`."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _checked(address: Address) -> Address:
    """The address, if it is one and the same for every daemon."""
    match address:
        case TcpAddress(host):
            try:
                ipaddress.ip_address(host)
            except ValueError as error:  # to look names up would hold up all phones
                raise AddressError(f"{address}: a kept forward needs a numeric address, such as 127.0.0.1") from error
        case UnixAddress(path):
            if not path.startswith("/"):  # the next daemon may be started elsewhere
                raise AddressError(f"{address}: a kept forward needs an absolute path")
        case _:
            assert_never(address)
    return address
