"""What the daemon answers to requests that are not about streams or listening."""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
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
from usbmux.daemon.pairing import PairRecordStore, is_record_id
from usbmux.daemon.policy import RecordAccess, View
from usbmux.daemon.registry import DeviceRegistry

logger = logging.getLogger("usbmux.daemon.client")

Answerable = ListDevices | ListListeners | ReadBuid | ReadPairRecord | SavePairRecord | DeletePairRecord
_ABOUT_RECORDS: Final = (ReadPairRecord, SavePairRecord, DeletePairRecord)


class RequestAnswerer:
    """Answers at once where it can; requests that touch files are answered off the loop.

    Writes go through one thread, in the order in which they were asked for, and reads through another: a disk that
    takes its time holds up writes only, and never the loop or what else needs threads.
    """

    def __init__(self, registry: DeviceRegistry, pair_records: PairRecordStore) -> None:
        self._registry: Final = registry
        self._pair_records: Final = pair_records
        self._reader: Final = ThreadPoolExecutor(1, "pair-records-read")
        self._writer: Final = ThreadPoolExecutor(1, "pair-records-write")

    async def close(self) -> None:
        """Answer no more, and wait for the write that has begun. What has not begun is dropped. Idempotent."""
        self._reader.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._writer.shutdown, cancel_futures=True)

    def answer(self, request: Answerable, view: View) -> Reply | Awaitable[Reply]:
        """The reply, or something to await for it. Never raises for what a client asked."""
        if not _is_allowed(request, view):
            return Result(errno.EACCES)
        if isinstance(request, _ABOUT_RECORDS) and not is_record_id(request.record_id):
            logger.warning("pair records: not a UDID: %r", request.record_id)
            return Result(errno.EINVAL)
        match request:
            case ListDevices():
                return DeviceList(self._registry.records(view))
            case ListListeners():
                return ListenerList(self._registry.listeners(view))
            case ReadBuid():
                return self._from_files(self._reader, lambda: Buid(self._pair_records.buid()))
            case ReadPairRecord(record_id):
                return self._from_files(self._reader, lambda: PairRecord(self._pair_records.read(record_id)))
            case SavePairRecord():
                return self._save(request)
            case DeletePairRecord(record_id):
                return self._from_files(self._writer, lambda: self._delete(record_id))
            case _:
                assert_never(request)

    def _delete(self, record_id: str) -> Reply:
        self._pair_records.delete(record_id)
        return Result(ResultCode.OK)

    async def _save(self, request: SavePairRecord) -> Reply:
        def save() -> Reply:
            self._pair_records.save(request.record_id, request.data)
            return Result(ResultCode.OK)

        reply = await self._from_files(self._writer, save)
        if reply == Result(ResultCode.OK):
            self._registry.paired(request.device_id, request.record_id)
        return reply

    async def _from_files(self, thread: ThreadPoolExecutor, work: Callable[[], Reply]) -> Reply:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, work)
        except OSError as error:
            if error.errno != errno.ENOENT:  # which is an everyday answer
                logger.warning("pair records: %s", error)
            return Result(error.errno or errno.EIO)


def _is_allowed(request: Answerable, view: View) -> bool:
    """Whether the client may do that to the pair record of that phone."""
    match request:
        case ReadPairRecord(record_id):
            return view.allows_records(RecordAccess.READ) and view.shows(record_id)
        case SavePairRecord() | DeletePairRecord():
            return view.allows_records(RecordAccess.WRITE) and view.shows(request.record_id)
        case ListDevices() | ListListeners() | ReadBuid():
            return True
        case _:
            assert_never(request)
