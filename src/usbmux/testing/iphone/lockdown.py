"""Lockdown on its port: the connections of hosts, each with a session of its own."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, assert_never

from usbmux.errors import RemoteProtocolError
from usbmux.lockdown.plist_frame import encode
from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.faults import LockdownFaults
from usbmux.testing.iphone.lockdown_session import Answer, LockdownSession, Phone, Then
from usbmux.testing.iphone.plist_stream import read_plist
from usbmux.testing.iphone.resumed_stream import ResumedStream
from usbmux.testing.iphone.tls_server import TlsServer

if TYPE_CHECKING:
    from usbmux.testing.iphone.tls_stream import TlsStream


@dataclass(slots=True)
class Lockdown:
    """What serves every connection to lockdown of one phone."""

    phone: Phone
    tls: TlsServer
    faults: LockdownFaults | None = None
    """May be changed at any time, for the requests to come."""
    idle_s: float = 300.0
    """How long a host without a session may take until its next request has come, in seconds."""
    max_connections: int = 256
    """How many there may be at a time."""
    connection_count: int = field(default=0, init=False)
    """How many there are now."""

    async def __call__(self, stream: ByteStream) -> None:
        """Serve one connection.

        Raises:
            RemoteProtocolError: The host broke the framing or TLS, or was idle for too long, or there are too many of
                them; the phone resets with the text.
        """
        if self.connection_count >= self.max_connections:
            raise RemoteProtocolError(f"lockdown serves {self.max_connections} connections already")
        self.connection_count += 1
        try:
            with suppress(ConnectionResetError):  # the host is gone
                await _Connection(self, stream).serve()
        finally:
            self.connection_count -= 1


class _Connection:
    def __init__(self, lockdown: Lockdown, stream: ByteStream) -> None:
        self._lockdown = lockdown
        self._plain = stream
        self._tls: TlsStream | None = None
        self._session = LockdownSession(lockdown.phone)

    @property
    def _stream(self) -> ByteStream:
        return self._tls or self._plain

    @property
    def _is_cut_off(self) -> bool:
        """Whether TLS is to end in silence, so that nobody can go on behind it."""
        return self._lockdown.tls.options.omits_close_alert

    async def serve(self) -> None:
        for number in count(1):
            request = await self._next_request()
            if request is None:
                break
            faults = self._lockdown.faults
            is_faulty = faults is not None and faults.concern(number)
            answer = await self._answer(request, faults if is_faulty else None)
            if answer.then is Then.CONNECTION_ENDS or (answer.then is Then.TLS_ENDS and self._is_cut_off):
                break
            await self._continue(answer.then)
        if self._tls is not None:
            await self._lockdown.tls.say_end(self._tls)

    async def _next_request(self) -> Mapping[object, object] | None:
        # Only those whom nobody knows: the sessions of a paired host stay open for as long as a program of it runs.
        limit_s = self._lockdown.idle_s if self._tls is None else None
        try:
            async with asyncio.timeout(limit_s):
                return await read_plist(self._stream)
        except TimeoutError as error:
            raise RemoteProtocolError(f"lockdown has had no request for {limit_s} s") from error

    async def _answer(self, request: Mapping[object, object], faults: LockdownFaults | None) -> Answer:
        if faults is None:
            answer = self._session.answer(request)
            await self._stream.write(encode(answer.properties))
            return answer
        await asyncio.sleep(faults.delay_s)
        refusal = faults.error
        answer = self._session.answer(request) if refusal is None else self._session.refuse(request, refusal)
        await self._stream.write(faults.encode(answer.properties))
        return Answer({}, Then.CONNECTION_ENDS) if faults.end_connection else answer

    async def _continue(self, then: Then) -> None:
        match then:
            case Then.TLS_BEGINS:
                host = self._session.host
                assert host is not None
                self._tls = await self._lockdown.tls.accept(self._plain, host)
            case Then.TLS_ENDS:
                assert self._tls is not None
                tls, self._tls = self._tls, None
                self._plain = ResumedStream(self._plain, await tls.end())
            case Then.NEXT_REQUEST | Then.CONNECTION_ENDS:
                pass
            case _:
                assert_never(then)
