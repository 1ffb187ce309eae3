"""The way of the daemon itself to the lockdown of a phone, and to the phone's pair record."""

import errno
import logging
import os
from typing import Final

from usbmux.control.message import (
    Buid,
    DeletePairRecord,
    PairRecord,
    ReadBuid,
    ReadPairRecord,
    Reply,
    Result,
    ResultCode,
    SavePairRecord,
)
from usbmux.daemon.device_link import DeviceLink
from usbmux.daemon.own_stream import OwnStream
from usbmux.daemon.policy import WHOLE_VIEW, View
from usbmux.daemon.requests import Answerable, RequestAnswerer
from usbmux.errors import PairRecordNotFoundError, RequestError

logger = logging.getLogger("usbmux.daemon.preflight")


class OwnRoute:
    """Implements `usbmux.lockdown.route.AsyncRoute` and `Asker`.

    Records are read and written as for a client: in the same order, and with the same notifications.
    """

    def __init__(self, answerer: RequestAnswerer, link: DeviceLink, device_id: int) -> None:
        self.view: View = WHOLE_VIEW
        self._answerer: Final = answerer
        self._link: Final = link
        self._device_id: Final = device_id
        self._udid: Final = link.info.serial_number

    def complain(self, text: str, *arguments: object) -> None:
        """See `Asker`."""
        logger.warning(f"%s: {text}", self._udid, *arguments, extra={"udid": self._udid})

    async def udid(self) -> str:
        """See `Route`."""
        return self._udid

    async def connect(self, port: int) -> OwnStream:
        """See `Route`."""
        return await OwnStream.open(self._link, port)

    async def buid(self) -> str:
        """See `Route`."""
        reply = await self._answer(ReadBuid())
        assert isinstance(reply, Buid)
        return reply.buid

    async def read_pair_record(self) -> bytes:
        """See `Route`."""
        reply = await self._answer(ReadPairRecord(self._udid))
        assert isinstance(reply, PairRecord)
        return reply.data

    async def save_pair_record(self, data: bytes) -> None:
        """See `Route`."""
        await self._answer(SavePairRecord(self._udid, data, self._device_id))

    async def delete_pair_record(self) -> None:
        """See `Route`."""
        await self._answer(DeletePairRecord(self._udid))

    async def _answer(self, request: Answerable) -> Reply:
        answer = self._answerer.answer(request, self)
        reply = answer if isinstance(answer, Reply) else await answer()
        match reply:
            case Result(errno.ENOENT as code):
                raise PairRecordNotFoundError(code, f"there is no pair record for {self._udid}")
            case Result(code) if code != ResultCode.OK:
                raise RequestError(code, f"{type(request).__name__} failed: {os.strerror(code)}")
            case _:
                return reply
