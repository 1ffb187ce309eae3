"""What the daemon answers to requests that are not about streams or listening."""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from typing import Final, assert_never

from usbmux.control.message import (
    Buid,
    DeletePairRecord,
    DeviceList,
    ListDevices,
    ListenerList,
    ListListeners,
    PairRecord,
    ReadBuid,
    ReadPairRecord,
    Reply,
    Result,
    ResultCode,
    SavePairRecord,
)
from usbmux.daemon.pairing import PairRecordStore
from usbmux.daemon.registry import DeviceRegistry

logger = logging.getLogger("usbmux.daemon.client")

Answerable = ListDevices | ListListeners | ReadBuid | ReadPairRecord | SavePairRecord | DeletePairRecord


class RequestAnswerer:
    """Answers at once where it can; requests that touch files are answered off the loop."""

    def __init__(self, registry: DeviceRegistry, pair_records: PairRecordStore) -> None:
        self._registry: Final = registry
        self._pair_records: Final = pair_records

    def answer(self, request: Answerable) -> Reply | Awaitable[Reply]:
        """The reply, or something to await for it. Never raises for what a client asked."""
        match request:
            case ListDevices():
                return DeviceList(self._registry.records())
            case ListListeners():
                return ListenerList(self._registry.listeners())
            case ReadBuid():
                return self._from_files(lambda: Buid(self._pair_records.buid()))
            case ReadPairRecord(record_id):
                return self._from_files(lambda: PairRecord(self._pair_records.read(record_id)))
            case SavePairRecord():
                return self._save(request)
            case DeletePairRecord(record_id):
                return self._from_files(lambda: self._delete(record_id))
            case _:
                assert_never(request)

    def _delete(self, record_id: str) -> Reply:
        self._pair_records.delete(record_id)
        return Result(ResultCode.OK)

    async def _save(self, request: SavePairRecord) -> Reply:
        def save() -> Reply:
            self._pair_records.save(request.record_id, request.data)
            return Result(ResultCode.OK)

        reply = await self._from_files(save)
        if reply == Result(ResultCode.OK):
            self._registry.paired(request.device_id, request.record_id)
        return reply

    async def _from_files(self, work: Callable[[], Reply]) -> Reply:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            if error.errno != errno.ENOENT:  # which is an everyday answer
                logger.warning("pair records: %s", error)
            return Result(error.errno or errno.EIO)
