"""Who does TLS with hosts, on connections to lockdown and to services."""

import asyncio
from functools import lru_cache
from typing import Final

from usbmux.errors import RemoteProtocolError
from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.certificates import DeviceKey
from usbmux.testing.iphone.faults import TlsOptions
from usbmux.testing.iphone.hosts import HostRecord
from usbmux.testing.iphone.tls_context import check_issuer, is_of_host, server_context
from usbmux.testing.iphone.tls_stream import TlsStream

_cached_context: Final = lru_cache(maxsize=128)(server_context)


class TlsServer:
    """The phone's side of TLS.

    Args:
        key: What the phone proves itself with.
        options: How; may be changed at any time, for the connections to come.
    """

    def __init__(self, key: DeviceKey, options: TlsOptions) -> None:
        self.options = options
        self._key = key

    def check(self, record: HostRecord) -> None:
        """Find out whether connections with that host will be possible.

        Raises:
            RemoteProtocolError: The certificates cannot be used, are for another phone, or not from the host's root.
        """
        _cached_context(record, self._key, TlsOptions())
        check_issuer(record)

    async def accept(self, stream: ByteStream, record: HostRecord) -> TlsStream:
        """Do the handshake with the host of `record`, and nobody else.

        Raises:
            RemoteProtocolError: The host is another one, was wrong, or too slow.
            ConnectionResetError: The stream was over before.
        """
        options = self.options
        try:
            async with asyncio.timeout(options.handshake_timeout_s):
                if options.stalls_handshake:
                    while await stream.read():
                        pass
                tls = await TlsStream.accept(stream, _cached_context(record, self._key, options))
        except TimeoutError as error:
            raise RemoteProtocolError("TLS: no handshake in time") from error
        if options.authenticates_host and not is_of_host(tls.host_certificate, record):
            raise RemoteProtocolError("TLS: the host is not the one that was paired")
        return tls

    async def say_end(self, tls: TlsStream) -> None:
        """Tell the host that the connection ends.

        Raises:
            ConnectionResetError: It is over already.
        """
        if not self.options.omits_close_alert:
            await tls.say_end()
